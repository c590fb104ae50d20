"""What several commands take: the store's URL, and the options of a move."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from authstore.errors import ConfigurationError

if TYPE_CHECKING:
    from authstore.mover import MoveOptions

_Result = TypeVar("_Result")

Url = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        envvar="AUTHSTORE_URL",
        show_envvar=True,
        help="sqlite:///auth.db or postgresql://user@host/database",
    ),
]
StoreUrl = Annotated[
    str, typer.Option("--url", metavar="URL", envvar="AUTHSTORE_URL", show_envvar=True, help="sqlite:///auth.db")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        envvar="AUTHSTORE_SOURCE",
        show_envvar=True,
        help="postgresql://user@host/database; for the way back sqlite:///auth.db",
    ),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        envvar="AUTHSTORE_URL",
        show_envvar=True,
        help="sqlite:///auth.db; for the way back postgresql://user@host/database",
    ),
]


_MOST = 2**63 - 1  # no database counts further
_MOST_SECONDS = 10**9  # three decades


def countable(number: int | None) -> int | None:
    """The callback of an option that is given to a database."""
    if number is not None and number > _MOST:
        raise typer.BadParameter(f"at most {_MOST}")
    return number


def waitable(seconds: float | None) -> float | None:
    """The callback of an option for which a clock waits: "nan" is a number to Python, and in every range."""
    if seconds is not None and not seconds <= _MOST_SECONDS:
        raise typer.BadParameter(f"a number of seconds, at most {_MOST_SECONDS}")
    return seconds


def needs_the_mover() -> None:
    """Raises `ConfigurationError` where the extra is not installed."""
    if find_spec("psycopg") is None or find_spec("sqlglot") is None:
        raise ConfigurationError("moving needs an extra: pip install 'authstore[move]'")


# Each field of `MoveOptions` that a command line may set: its type, how it is spelt, and what it decides.
_MOVE: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "schemas": (list[str], "--schema", {"metavar": "S", "help": "Only tables of this schema; may be repeated."}),
    "prefix": (str | None, "--prefix", {"metavar": "P", "help": "The auth tables' names begin with this."}),
    "profile": (str | None, "--profile", {"metavar": "FILE", "help": "Which table plays which role, as TOML."}),
    "only": (list[str], "--only", {"metavar": "TABLE", "help": "Move only this table; may be repeated."}),
    "skip": (list[str], "--skip", {"metavar": "TABLE", "help": "Leave this table behind; may be repeated."}),
    "with_expired": (bool, "--with-expired", {"help": "Expired sessions and tokens too."}),
    "naive_tz": (str, "--naive-tz", {"metavar": "ZONE", "help": "The zone of timestamps that name none."}),
    "replace": (bool, "--replace", {"help": "Go over a target that no move made, or that was written to since."}),
    "on_bad_row": (
        Literal["stop", "reject"],
        "--on-bad-row",
        {"help": "Rows that cannot be kept as they are: stop, or write them to the reject file and go on."},
    ),
    "on_orphan": (
        Literal["stop", "reject"],
        "--on-orphan",
        {"help": "Rows whose user or parent is missing: stop, or write them to the reject file and go on."},
    ),
    "on_duplicate": (
        Literal["stop", "keep-oldest", "merge"],
        "--on-duplicate",
        {"help": "Users with one address, accounts with one id: stop, keep the oldest, or merge into it."},
    ),
    "secrets": (
        Literal["stop", "keep", "drop"],
        "--secrets",
        {"help": "Password hashes and other secrets without a field: stop, keep them in data, or drop them."},
    ),
}


def dashed(decision: str) -> str:
    """A field of `MoveOptions` as the command line spells it; "" for none."""
    return _MOVE[decision][1] if decision else ""


def as_typed(text: str) -> str:
    """A text of the mover's, in which fields of `MoveOptions` stand in backticks, as the command line spells them."""
    return re.sub(r"`(\w+)`", lambda name: dashed(name[1]) if name[1] in _MOVE else name[0], text)


_DEFAULTS: dict[str, Any] = {
    "schemas": [],
    "only": [],
    "skip": [],
    "naive_tz": "UTC",
    "on_bad_row": "stop",
    "on_orphan": "stop",
    "on_duplicate": "stop",
    "secrets": "stop",
}


def takes_move_options(*, defaults: str | None = None) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Gives a command the options of a move; it gets them as one `options: MoveOptions`.

    `defaults`: what its help says of an option that is not given, where that is not the default of `MoveOptions`.
    """

    def decorate(command: Callable[..., _Result]) -> Callable[..., _Result]:
        @wraps(command)
        def called(**given: Any) -> _Result:
            options = _move_options({name: given.pop(name) for name in _MOVE})
            return command(**given, options=options)

        own = inspect.signature(command)
        kept = [parameter for parameter in own.parameters.values() if parameter.name != "options"]
        added = [_parameter(name, defaults) for name in _MOVE]
        called.__signature__ = own.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]  # what typer reads
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *added)}
        del called.__dict__["__wrapped__"]  # typing would read the annotations of what is wrapped
        return called

    return decorate


def _parameter(name: str, defaults: str | None) -> inspect.Parameter:
    kind, flag, text = _MOVE[name]
    default = False if kind is bool else _DEFAULTS.get(name)
    shown: Any = {"show_default": defaults or True} if default else {}
    option = typer.Option(flag, **text, **shown)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _move_options(given: dict[str, Any]) -> "MoveOptions":
    needs_the_mover()
    from authstore.mover import MoveOptions

    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return MoveOptions(**values)
