"""The few pages the in-process OpenID provider shows to a human."""

from collections.abc import Iterable, Mapping
from html import escape

from authstore.testing.people import Person

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ min-height: 100dvh; margin: 0; display: grid; place-items: center; background: light-dark(#eef2f0, #0d1512); }}
main {{ width: min(22rem, 100% - 3rem); }}
h1 {{ font-size: 1.35rem; margin: 0 0 .25rem; }}
p {{ margin: 0 0 1.5rem; color: light-dark(#4a5a53, #9fb3aa); }}
form {{ display: grid; gap: .6rem; }}
button {{ font: inherit; text-align: left; padding: .75rem 1rem; border-radius: .75rem; cursor: pointer;
  border: 1px solid light-dark(#c5d1cb, #2c3b34); background: light-dark(#fff, #16211c); color: inherit; }}
button:hover, button:focus-visible {{ border-color: light-dark(#1d6b4a, #6fd3a5); }}
small {{ display: block; color: light-dark(#4a5a53, #9fb3aa); }}
</style>
</head>
<body><main>{body}</main></body>
</html>
"""


def chooser_page(people: Iterable[Person], params: Mapping[str, str]) -> str:
    """Lets a human say who they are at the provider."""
    fields = "".join(_hidden(name, value) for name, value in params.items())
    buttons = "".join(_person(person) for person in people)
    form = f'<form method="post">{fields}{buttons}</form>'
    body = f"<h1>Who are you?</h1><p>A pretend provider, for trying things out.</p>{form}"
    return _PAGE.format(title="Pretend provider", body=body)


def form_post_page(redirect_uri: str, answer: Mapping[str, str]) -> str:
    """Sends the answer back as a form (OAuth 2.0 Form Post Response Mode), as Sign in with Apple does."""
    fields = "".join(_hidden(name, value) for name, value in answer.items())
    form = f'<form method="post" action="{escape(redirect_uri)}">{fields}<button>Continue</button></form>'
    return _PAGE.format(title="Pretend provider", body=f"{form}<script>document.forms[0].submit()</script>")


def refusal_page() -> str:
    """For a client or redirect URI the provider does not know: nobody is sent anywhere."""
    return _PAGE.format(title="Pretend provider", body="<h1>Unknown client</h1><p>Nobody is sent anywhere.</p>")


def _person(person: Person) -> str:
    name, email = escape(person.name or person.sub), escape(person.email or "no address")
    return f'<button name="person" value="{escape(person.sub)}">{name}<small>{email}</small></button>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
