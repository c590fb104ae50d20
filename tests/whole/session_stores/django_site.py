"""A shop of Django's, with sessions in its database: writes a few, and prints their cookies and what is in them."""

import json
import sys
from urllib.parse import urlsplit

import django
from django.conf import settings

url = urlsplit(sys.argv[1])
database = {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username}
settings.configure(
    SECRET_KEY="the key of a shop",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {**database, "PASSWORD": url.password, "HOST": url.hostname, "PORT": url.port}},
    USE_TZ=True,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # the others take their time on purpose
)
django.setup()

from django.contrib.auth import login  # noqa: E402  # after the settings, as Django wants it
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest  # noqa: E402


def written(data: dict[str, object], *, user: User | None = None, expiry: int | None = None) -> dict[str, object]:
    """A session with this in it, of somebody who is signed in, or of a visitor."""
    request = HttpRequest()
    request.session = SessionStore()
    request.session.update(data)
    if user is not None:
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    if expiry is not None:
        request.session.set_expiry(expiry)
    request.session.save()
    return {"cookie": request.session.session_key, "data": dict(request.session.items()), "user": user and str(user.pk)}


call_command("migrate", verbosity=0, interactive=False)
ada = User.objects.create_user("ada", "ada@example.com", "a password")
cart = {"cart": ["tea", "milk"], "note": "für Ada ☕"}
found = [
    written(cart),  # short, so not compressed
    written({**cart, "wishes": ["tea"] * 200}),  # compressed
    written(cart, user=ada),
    written({}),
]
written({"gone": True}, expiry=-1)
print(json.dumps(found))
