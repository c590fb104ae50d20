"""Roles and permissions: four tables that are recognised together, or carried as they are."""

from collections.abc import Callable, Mapping, Sequence

from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import label
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.ambiguity import ambiguous
from authstore.mover.recognition.matching import Match, match, says
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

# A grant with anything else beside it is limited by it (to a tenant, to a time): authstore would grant it for all.
_HARMLESS = frozenset(
    {"id", "createdat", "updatedat", "createdby", "updatedby", "grantedat", "grantedby", "assignedat", "assignedby"}
)

_SWITCHES = ("active", "enabled", "isactive", "isenabled")

_Found = tuple[Match, str]


def is_switch(column: str) -> bool:
    """Whether a role's column of this name says whether it holds."""
    return normalised(column) in _SWITCHES


class RoleTables:
    """Looks for the role tables among those that play no other part."""

    def __init__(
        self, tables: Sequence[SourceTable], users: SourceTable, is_ours: Callable[[SourceTable], bool]
    ) -> None:
        self._tables = [table for table in tables if is_ours(table)]
        self._users = users
        self._problems: list[Problem] = []

    def choose(self, told: Mapping[Role, Recognised]) -> tuple[tuple[_Found, ...], tuple[Problem, ...]]:
        """The matches and why; what is told by a profile is taken as it is. Roles without grants are no roles."""
        grants = self._link("user_roles", told)
        roles = self._end("roles", "role_id", [grants], told) if grants or "user_roles" in told else None
        if roles is None and "roles" not in told:
            return (), tuple(self._problems)
        rights = self._link("role_permissions", told)
        permissions = self._end("permissions", "permission_id", [rights], told) if rights else None
        found = [one for one in (roles, grants) if one]
        if rights and permissions:
            found += [permissions, rights]
        elif rights:
            self._say(rights[0].table, "its permissions have no resource and action")
        return tuple(found), tuple(self._problems)

    def _link(self, role: Role, told: Mapping[Role, Recognised]) -> _Found | None:
        if role in told:
            return None
        matches = [found for table in self._tables if (found := match(role, table))]
        plain = [found for found in matches if self._is_plain(found)]
        if len(plain) > 1:
            self._problems.append(ambiguous(role, [found.table for found in plain]))
        return (plain[0], "its columns " + ", ".join(plain[0].fields.values())) if len(plain) == 1 else None

    def _is_plain(self, found: Match) -> bool:
        own = {normalised(column) for column in found.fields.values()}
        more = {normalised(column.name) for column in found.table.columns} - own - _HARMLESS
        if more:
            self._say(found.table, f"{', '.join(sorted(more))} limits what it grants")
        return not more

    def _end(
        self, role: Role, field: str, links: Sequence[_Found | None], told: Mapping[Role, Recognised]
    ) -> _Found | None:
        if role in told:
            return None
        link = next((found for found, _ in filter(None, links)), None)
        matches = [found for table in self._tables if (found := match(role, table))]
        pointed = {
            reference.table
            for reference in (link.table.references if link else ())
            if link and reference.columns == (link.fields[field],)
        }
        if pointed:
            matches = [found for found in matches if (found.table.schema, found.table.name) in pointed]
        else:
            matches = [found for found in matches if says(found.table, [role.removesuffix("s")])]
        if len(matches) > 1:
            self._problems.append(ambiguous(role, [found.table for found in matches]))
        why = f"{link.table.name} refers to it" if link and pointed else "its name and columns"
        return (matches[0], why) if len(matches) == 1 else None

    def _say(self, table: SourceTable, why: str) -> None:
        name = label(table.schema, table.name)
        self._problems.append(Problem("unrecognised", name, f"{name} is carried as it is: {why}", decision="profile"))
