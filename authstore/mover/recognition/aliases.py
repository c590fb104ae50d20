"""The names under which tools keep the fields of a role, read from profiles/aliases.toml."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from authstore.mover.catalog import SourceColumn, SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import OWN_TABLES


@dataclass(frozen=True, slots=True)
class RoleAliases:
    """What a role is known by. `fields`: field → groups of normalised column names, the first group first."""

    role: Role
    required: tuple[str, ...]
    fields: Mapping[str, tuple[frozenset[str], ...]]
    absent: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    hint: str = ""
    left: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unusable:
    """A known shape of table that has a role and cannot be moved into it."""

    role: Role
    columns: frozenset[str]
    absent: frozenset[str]
    why: str


def normalised(name: str) -> str:
    """A name less its case and punctuation: what aliases are compared by."""
    return re.sub(r"[\W_]", "", name.lower())


def words(name: str) -> tuple[str, ...]:
    """The words of an identifier in lower case: `userSessionToken_v2` → user, session, token, v2."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name))


@cache
def role_aliases() -> Mapping[Role, RoleAliases]:
    """The aliases of every role."""
    return {role: _role(role, _file()[role]) for role in OWN_TABLES}


@cache
def unusable_shapes() -> tuple[Unusable, ...]:
    """The known tables that are never moved."""
    return tuple(
        Unusable(cast(Role, entry["role"]), frozenset(entry["columns"]), frozenset(entry["absent"]), entry["why"])
        for entry in _file()["unusable"]
    )


def by_normalised_name(columns: Iterable[SourceColumn]) -> dict[str, list[SourceColumn]]:
    """The columns under their normalised names; more than one where they differ only in case or punctuation."""
    found: dict[str, list[SourceColumn]] = {}
    for column in columns:
        found.setdefault(normalised(column.name), []).append(column)
    return found


def column_named(table: SourceTable, name: str) -> SourceColumn:
    """The column of exactly this name; `KeyError` where there is none."""
    for column in table.columns:
        if column.name == name:
            return column
    raise KeyError(name)


@cache
def _file() -> dict[str, Any]:
    text = (files("authstore.mover.recognition") / "aliases.toml").read_text("utf-8")
    return tomllib.loads(text)


def _role(role: Role, entry: Mapping[str, Any]) -> RoleAliases:
    fields = {field: tuple(frozenset(group) for group in groups) for field, groups in entry["fields"].items()}
    named = {name: frozenset(entry.get(name, ())) for name in ("absent", "doubtful", "left")}
    return RoleAliases(role, tuple(entry["required"]), fields, hint=entry.get("hint", ""), **named)
