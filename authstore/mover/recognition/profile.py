"""A profile: the operator's own word on which table and column plays which part, as a small TOML file."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from authstore.errors import ConfigurationError
from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import OWN_TABLES, label
from authstore.mover.recognition.aliases import role_aliases
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

VERSION = 1
_STEP = re.compile(r'\.(?:(\w+)|"([^"]+)")')
_PATH = re.compile(rf"\$({_STEP.pattern})+")

_HEAD = """\
# How authstore understands this database. Give it to plan, move, verify and recover as `profile`.
#
# [role] table   the table that plays the role, as "schema.table" (the schema may be left out where one table is meant)
# [role.columns] field of authstore = "column of the table"; a field that is not named is looked for by its usual names,
#                one that is "" is taken from no column. Columns without a field go into the row's data.
# [visits] user_in  where a row of a session store names who is signed in, "$.passport.user": these become sessions too
# carry          tables with secrets of their own, to be carried over as they are
# leave          tables to be left behind
"""


@dataclass(frozen=True, slots=True)
class ProfileTable:
    """The table that plays a role, as written ("table" or "schema.table"), and its columns by field.

    `user_in`: of visits, the keys in their data, one in another, that lead to the id of a user who is signed in.
    """

    table: str
    columns: Mapping[str, str] = field(default_factory=dict)
    user_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says. `carry` and `leave` hold names as written: "table" or "schema.table"."""

    tables: Mapping[Role, ProfileTable] = field(default_factory=dict)
    carry: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    origin: str = "the profile"


def read_profile(path: str | Path) -> Profile:
    """The profile in this file. `ConfigurationError` where it cannot be read or says what no profile can say."""
    try:
        return parse_profile(Path(path).read_text("utf-8"), origin=str(path))
    except OSError as error:
        raise ConfigurationError(f"the profile {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the profile {path} is not UTF-8 text") from error


def parse_profile(text: str, *, origin: str = "the profile") -> Profile:
    """The profile in this text. `ConfigurationError` names what is wrong with it and `origin`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{origin}: {error}") from error
    if (version := content.pop("authstore_profile", None)) != VERSION or version is True:
        raise ConfigurationError(f"{origin}: a profile begins with authstore_profile = {VERSION}")
    carry, leave = (_names(content.pop(key, []), key, origin) for key in ("carry", "leave"))
    tables: dict[Role, ProfileTable] = {
        _role(key, origin): _table(key, entry, origin) for key, entry in content.items()
    }
    return Profile(tables, carry, leave, origin)


def write_profile(
    recognised: Iterable[Recognised],
    *,
    carry: Iterable[str] = (),
    leave: Iterable[str] = (),
    stopping: Iterable[Problem] = (),
) -> str:
    """The text of a profile that says what was recognised: a start for one's own.

    `stopping`: what stops a move. What a profile can decide of it stands there in comments, one line of which is to be
    taken out of its comment: tables in both lists, columns in the section of their table.
    """
    told = [one for one in recognised if one.moved and not (one.role == "sessions" and one.user_in)]  # visits say it
    headers = {header for one in told for header in (f"[{one.role}]", f"[{one.role}.columns]")}
    asked: dict[str, list[str]] = {}
    open_, more = [], []
    for problem in stopping:
        if problem.asks and problem.asks[0] in headers:
            asked.setdefault(problem.asks[0], []).extend(_commented(problem, problem.asks[1:]))
        elif problem.asks:
            more.append("\n".join(_commented(problem, problem.asks)) + "\n")
        elif _is_of_a_table(problem, told):
            open_.append((problem.table, problem.message))
    lists = f"carry = {_array(carry, open_)}\nleave = {_array(leave, open_)}"
    head = f"{_HEAD}\nauthstore_profile = {VERSION}\n{lists}\n"
    sections = [_section(one) + "".join(f"{line}\n" for line in asked.get(f"[{one.role}.columns]", ())) for one in told]
    return "\n".join([head, *sections, *more])


def _is_of_a_table(problem: Problem, told: Iterable[Recognised]) -> bool:
    """Whether it asks what is to become of a table that plays no role."""
    known = {label(one.table.schema, one.table.name) for one in told}
    return problem.decision in ("profile", "secrets") and bool(problem.table) and problem.table not in known


def _commented(problem: Problem, lines: Iterable[str]) -> list[str]:
    return [f"# {_comment(problem.message)}", *(f"# {_comment(line)}" for line in lines)]


def is_named(table: SourceTable, names: Iterable[str]) -> bool:
    """Whether a table is among names written as "table" or "schema.table"."""
    return any(name in (table.name, f"{table.schema}.{table.name}") for name in names)


def _role(key: str, origin: str) -> Role:
    for role in OWN_TABLES:
        if role == key:
            return role
    raise ConfigurationError(f"{origin}: {key!r} is no role; there are {', '.join(OWN_TABLES)}, carry and leave")


def _table(role: str, entry: Any, origin: str) -> ProfileTable:
    known = {"table", "columns", "user_in"} if role == "visits" else {"table", "columns"}
    if not isinstance(entry, dict) or not isinstance(entry.get("table"), str) or set(entry) - known:
        raise ConfigurationError(f'{origin}: [{role}] needs table = "schema.table" and may have columns, no more')
    columns = entry.get("columns", {})
    fields = role_aliases()[cast(Role, role)].fields
    if not isinstance(columns, dict) or not all(isinstance(column, str) for column in columns.values()):
        raise ConfigurationError(f'{origin}: [{role}.columns] is field = "column" lines')
    if unknown := sorted(set(columns) - set(fields)):
        raise ConfigurationError(f"{origin}: {role} has no field {unknown[0]!r}; there are {', '.join(fields)}")
    return ProfileTable(entry["table"], columns, _path(entry.get("user_in"), origin))


def _path(said: Any, origin: str) -> tuple[str, ...]:
    """`$.passport.user` as its keys; one with other characters in double quotes, `$."user id"`."""
    if said is None:
        return ()
    if not isinstance(said, str) or not _PATH.fullmatch(said):
        raise ConfigurationError(f'{origin}: user_in is a path into the data, such as "$.passport.user"')
    return tuple(quoted or plain for plain, quoted in _STEP.findall(said))


def _names(value: Any, key: str, origin: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{origin}: {key} is a list of table names")
    return tuple(value)


def _section(one: Recognised) -> str:
    columns = "".join(f"{name} = {_text(column)}\n" for name, column in one.fields.items())
    table = _text(f"{one.table.schema}.{one.table.name}")
    path = "".join(f'."{key}"' for key in one.user_in)
    user_in = f"user_in = {_text(f'${path}')}\n" if path else ""
    return f"# {_comment(one.why)}\n[{one.role}]\ntable = {table}\n{user_in}\n[{one.role}.columns]\n{columns}"


def _array(names: Iterable[str], undecided: Iterable[tuple[str, str]] = ()) -> str:
    lines = [f"    # {_text(name)},  # {_comment(why)}" for name, why in undecided]
    if not lines:
        return "[" + ", ".join(map(_text, names)) + "]"
    return "\n".join(["[", *(f"    {_text(name)}," for name in names), *lines, "]"])


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped and JSON leaves alone.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
