"""Whether a table has the columns of a role."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from authstore.mover.catalog import SourceColumn, SourceTable
from authstore.mover.copies import Role
from authstore.mover.recognition.aliases import RoleAliases, by_normalised_name, normalised, role_aliases, words
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.type_names import JSONS, TEXTS

_TEXT = TEXTS | {"uuid"}
# What may be a secret that a browser presents; anything else under the same name is something else.
_MUST_BE_TEXT = frozenset({"token", "identifier", "email"})
_DATA = _TEXT | JSONS | {"bytea"}


@dataclass(frozen=True, slots=True)
class Match:
    """A table that could play a role."""

    role: Role
    table: SourceTable
    fields: Mapping[str, str]
    certain: bool  # False: only its name tells it from a table of another kind
    clashes: tuple[tuple[str, tuple[str, ...]], ...] = ()  # fields that several columns claim
    told: Mapping[str, str] = field(default_factory=dict)

    def recognised(self, why: str) -> Recognised:
        return Recognised(self.role, self.table, dict(self.fields), why, told=self.told)


def match(role: Role, table: SourceTable, told: Mapping[str, str] | None = None) -> Match | None:
    """How the table would play the role, or `None`. `told`: field → column, from a profile; "" takes none."""
    aliases = role_aliases()[role]
    found = _Finder(table, aliases, told or {})
    missing = [field for field in aliases.required if field not in found.fields and field not in found.clashes]
    if missing or (told is None and not _plausible(found, table, aliases)):
        return None
    return Match(role, table, found.fields, not found.doubtful, tuple(found.clashes.items()), told or {})


def missing_fields(role: Role, table: SourceTable, told: Mapping[str, str]) -> tuple[str, ...]:
    """The required fields for which the table has no column."""
    aliases = role_aliases()[role]
    found = _Finder(table, aliases, told)
    return tuple(field for field in aliases.required if field not in found.fields and field not in found.clashes)


def says(table: SourceTable, hints: Iterable[str]) -> bool:
    """Whether a word of the table's name is one of these, or its plural."""
    wanted = frozenset(hints)
    return any(word in wanted or word.removesuffix("s") in wanted for word in words(table.name)) or any(
        hint in normalised(table.name) for hint in wanted if len(hint) > 6
    )


def is_texty(column: SourceColumn) -> bool:
    """Whether the column holds text (or a uuid)."""
    return column.base in _TEXT or column.kind == "e"


class _Finder:
    """Looks for a role's fields among a table's columns."""

    def __init__(self, table: SourceTable, aliases: RoleAliases, told: Mapping[str, str]) -> None:
        self.fields: dict[str, str] = {field: column for field, column in told.items() if column}
        self.clashes: dict[str, tuple[str, ...]] = {}
        self.doubtful = False
        self._free = by_normalised_name(column for column in table.columns if column.name not in told.values())
        for name, groups in aliases.fields.items():
            if name not in told:
                self._find(name, groups, name in aliases.doubtful)

    def _find(self, field: str, groups: Iterable[frozenset[str]], doubtful: bool) -> None:
        for place, group in enumerate(groups):
            columns = [column for name in sorted(group) for column in self._free.get(name, ()) if _fits(field, column)]
            if len(columns) > 1:
                self.clashes[field] = tuple(column.name for column in columns)
            elif columns:
                self.fields[field] = columns[0].name
            if columns:
                self.doubtful = self.doubtful or (doubtful and place > 0)
                return


def _fits(field: str, column: SourceColumn) -> bool:
    if field == "data":
        return column.base in _DATA
    return field not in _MUST_BE_TEXT or is_texty(column)


def _plausible(found: _Finder, table: SourceTable, aliases: RoleAliases) -> bool:
    names = {normalised(column.name) for column in table.columns}
    return not (aliases.absent & names) and not (found.doubtful and not says(table, [aliases.hint]))
