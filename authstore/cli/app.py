"""All commands in one application, and what becomes of errors."""

import asyncio
import errno
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer
from pydantic import ValidationError

from authstore.cli import (
    backup_commands,
    demo,
    event_commands,
    follow_commands,
    health_commands,
    monitor_commands,
    move_commands,
    new,
    role_commands,
    session_commands,
    shell_commands,
    store_commands,
    user_commands,
)
from authstore.cli.arguments import as_typed
from authstore.cli.output import OutputLostError, hang_up, masked, masked_url, shown
from authstore.errors import AuthStoreError, ConfigurationError

_INTERRUPTED = 130
_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what printing fails with; of files, a room of ours tells
# click's ClickException, wherever this typer keeps its click.
_WrongUsage: type[typer.BadParameter] = next(  # or rather what it inherits from
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="authstore",
    help="Users, sessions, accounts, tokens, passkeys and roles, kept safely in one SQLite file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # columns and boxes leave no room for the words at 80 characters
    context_settings={"help_option_names": ["-h", "--help"]},
)
store_commands.register(app)
backup_commands.register(app)
health_commands.register(app)
monitor_commands.register(app)
for group in (user_commands.users, session_commands.sessions, role_commands.roles):
    app.add_typer(group)
event_commands.register(app)
shell_commands.register(app)
move_commands.register(app)
follow_commands.register(app)
new.register(app)
demo.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"authstore {version('authstore')}\n")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Users, sessions, accounts, tokens, passkeys and roles, kept safely in one SQLite file."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and gives its exit status."""
    _prepare_streams()
    status = 0
    try:
        status = _run(arguments, is_json="--json" in arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        hang_up()
    except OSError as error:
        if error.errno not in _LOST or error.filename is not None:
            raise
        return _refused(OutputLostError(f"what is printed cannot be written: {error.strerror}"), is_json=False)
    return status


def tell_warning(message: Warning | str, *_where: object, **_how: object) -> None:
    """In the place of `warnings.showwarning`: in a line, without the place in the code."""
    sys.stderr.write(shown(f"authstore: warning: {message}\n"))


def _run(arguments: Sequence[str], *, is_json: bool) -> int:
    try:
        result = app(list(arguments), prog_name="authstore", standalone_mode=False)
    except _WrongUsage as error:
        error.message = _without_passwords(error.message, arguments)
        error.show()
        if is_json:
            _complain(error.format_message(), "", is_json)
        return 2
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        return _stopped(is_json)
    except AuthStoreError as error:
        return _refused(error, is_json)
    except Exception as error:
        if _is_wrong_usage(arguments, error, is_json):
            return 2
        raise
    if result == _INTERRUPTED:  # typer's own word for Ctrl-C
        return _stopped(is_json)
    return result if isinstance(result, int) else 0


def _prepare_streams() -> None:
    """None of them is missing, and whatever is read or printed can be."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed before we began: what is opened next would stand in its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace"), (sys.stderr, "replace")):
        if isinstance(stream, TextIOWrapper):  # a terminal that knows ASCII alone shows the rest as question marks
            stream.reconfigure(errors=errors)


def _without_passwords(text: str, arguments: Sequence[str]) -> str:
    """What is said of the arguments, which it may repeat."""
    for argument in arguments:
        if "://" in argument:
            text = text.replace(argument, masked_url(argument))
    return masked(text)


def _refused(error: AuthStoreError, is_json: bool) -> int:
    if isinstance(error, OutputLostError):
        hang_up()  # what waits to be written would fail once more at the end
        is_json = False
    # The text of a ConfigurationError itself says what to write.
    hint = "" if isinstance(error, ConfigurationError) and not is_json else as_typed(error.hint)
    _complain(masked(as_typed(str(error))), hint, is_json)
    return 2 if isinstance(error, ConfigurationError) else 1


def _is_wrong_usage(arguments: Sequence[str], error: Exception, is_json: bool) -> bool:
    """Says what is wrong: the store refused what was typed (no model takes it, or it is no text, but bytes that are no
    UTF-8), or an error of our own."""
    is_text = all(argument.encode(errors="ignore").decode() == argument for argument in arguments)
    if isinstance(error, ValidationError) or (isinstance(error, ValueError) and not is_text):
        _complain("what was given is empty, too long or no text", "look at the arguments", is_json)
        return True
    if is_json:  # whoever reads events sees the last one, whatever happens; people see where it happened
        _complain(f"an error of authstore's own: {type(error).__name__}", "please report it", is_json)
    return False


def _stopped(is_json: bool) -> int:
    _complain("stopped", "run the same command again to go on", is_json)
    return _INTERRUPTED


def _complain(message: str, hint: str, is_json: bool) -> None:
    if is_json:
        sys.stdout.write(json.dumps({"event": "error", "message": message, "hint": hint}) + "\n")
        return
    sys.stderr.write(shown(f"authstore: {message}\n" + (f"  {hint}\n" if hint else "")))
