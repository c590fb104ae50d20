"""Which tables are the auth tables: by the columns they have and by who refers to whom, never by a guess."""

from collections.abc import Sequence
from dataclasses import replace

from authstore.errors import ConfigurationError
from authstore.mover.catalog import Source, SourceTable
from authstore.mover.copies import Role
from authstore.mover.names import label
from authstore.mover.options import MoveOptions
from authstore.mover.recognition.aliases import normalised, role_aliases, unusable_shapes
from authstore.mover.recognition.ambiguity import ambiguous, clash
from authstore.mover.recognition.grants import RoleTables
from authstore.mover.recognition.matching import Match, match, missing_fields
from authstore.mover.recognition.profile import Profile, is_named
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import suspicions
from authstore.mover.recognition.shut import path_told
from authstore.mover.recognition.users import choose_users
from authstore.mover.reports import Problem

_BY_COLUMNS: tuple[Role, ...] = ("accounts", "sessions", "visits", "verification_tokens", "authenticators")
# Rivals with these roles hold what signs somebody in: left behind, never carried as ordinary tables.
_SECRET: frozenset[Role] = frozenset({"accounts", "sessions", "visits", "verification_tokens"})


def recognise(
    source: Source, options: MoveOptions, profile: Profile | None = None
) -> tuple[tuple[Recognised, ...], tuple[Problem, ...]]:
    """The auth tables in their roles, and what could not be decided.

    Two candidates for a role, no table of users, a table that looks like sessions or tokens and is none of the
    known ones: problems that stop the move. `ConfigurationError` where the profile does not fit the database.
    """
    return _Recognition(source, options, profile or Profile()).run()


class _Recognition:
    def __init__(self, source: Source, options: MoveOptions, profile: Profile) -> None:
        self._options = options
        self._profile = profile
        gone = (*options.skip, *profile.leave)
        self._tables = [table for table in source.tables if table.readable and not is_named(table, gone)]
        self._skipped = [table for table in source.tables if is_named(table, options.skip)]
        self._found: dict[Role, Recognised] = {}
        self._left: list[Recognised] = []
        self._problems: list[Problem] = []
        self._undecided: list[SourceTable] = []

    def run(self) -> tuple[tuple[Recognised, ...], tuple[Problem, ...]]:
        self._obey_profile()
        self._leave_unusable()
        for role in _BY_COLUMNS:
            self._choose(role)
        self._choose_users()
        self._make_sessions()
        self._choose_roles()
        self._suspect()
        return (*self._found.values(), *self._left), tuple(self._problems)

    def _obey_profile(self) -> None:
        for role, told in self._profile.tables.items():
            if any(is_named(table, [told.table]) for table in self._skipped):
                continue
            table = self._table_named(told.table)
            named = {name for field, name in told.columns.items() if not _is_member(table, field, name)}
            if unknown := sorted(named - {"", *(column.name for column in table.columns)}):
                raise ConfigurationError(f"{self._profile.origin}: {told.table} has no column {unknown[0]!r}")
            found = match(role, table, told.columns)
            if found is None:
                missing = ", ".join(missing_fields(role, table, told.columns))
                raise ConfigurationError(f"{self._profile.origin}: {told.table} has no column for {missing} of {role}")
            self._take(found, "named by the profile")
            if told.user_in and role in self._found:
                self._found[role] = replace(self._found[role], user_in=told.user_in)

    def _table_named(self, name: str) -> SourceTable:
        fitting = [table for table in self._tables if is_named(table, [name])]
        if len(fitting) == 1:
            return fitting[0]
        known = "more than one table is" if fitting else "there is no table"
        raise ConfigurationError(f"{self._profile.origin}: {known} called {name!r} (see `schemas`)")

    def _leave_unusable(self) -> None:
        for shape in unusable_shapes():
            for table in self._free():
                names = {normalised(column.name) for column in table.columns}
                if shape.columns <= names and not shape.absent & names and not is_named(table, self._profile.carry):
                    self._left.append(Recognised(shape.role, table, why=shape.why, moved=False))

    def _free(self) -> list[SourceTable]:
        taken = [one.table for one in (*self._found.values(), *self._left)] + self._undecided
        return [table for table in self._tables if table not in taken]

    def _choose(self, role: Role) -> None:
        tables = self._free()
        if role == "visits":  # what is carried as it is, is no session store to us
            tables = [table for table in tables if not is_named(table, self._profile.carry)]
        matches = [found for table in tables if (found := match(role, table))]
        if role not in self._found:
            self._decide(role, [found for found in matches if self._is_ours(found.table)])
        for found in matches:
            undecided = self._is_ours(found.table) and role not in self._found
            if role in _SECRET and found.table in self._free() and not undecided:
                self._leave_rival(found)

    def _is_ours(self, table: SourceTable) -> bool:
        return table.name.startswith(self._options.prefix or "")

    def _decide(self, role: Role, matches: Sequence[Match]) -> None:
        candidates = [found for found in matches if found.certain] or matches
        if len(candidates) == 1:
            self._take(candidates[0], _columns_said(candidates[0]))
        elif candidates:
            self._problems.append(ambiguous(role, [found.table for found in candidates]))
            self._undecided += [found.table for found in candidates]

    def _take(self, found: Match, why: str) -> None:
        self._problems += [clash(found, field, columns) for field, columns in found.clashes]
        if found.clashes:
            self._undecided.append(found.table)
        else:
            self._found[found.role] = found.recognised(why)

    def _leave_rival(self, found: Match) -> None:
        if (not found.certain and not self._options.prefix) or is_named(found.table, self._profile.carry):
            return
        chosen = self._found.get(found.role)
        why = f"{label(chosen.table.schema, chosen.table.name)} plays its part" if chosen else "`prefix` leaves it"
        self._left.append(Recognised(found.role, found.table, dict(found.fields), f"{found.role}: {why}", moved=False))

    def _choose_users(self) -> None:
        if "users" in self._found:
            return
        candidates = [found for table in self._free() if self._is_ours(table) and (found := match("users", table))]
        visits = self._found.get("visits")
        children: dict[Role, Recognised] = {role: one for role, one in self._found.items() if role != "visits"}
        users, problem = choose_users(candidates, children, self._tables)
        if users:
            self._take(*users)
        elif problem and visits and not children and not visits.user_in and problem.kind == "unrecognised":
            self._problems.append(replace(problem, message=f"{problem.message}; visits come without", stops=False))
        elif problem and not (self._undecided and problem.kind == "unrecognised"):
            self._problems.append(problem)
            self._undecided += [found.table for found in candidates] if problem.kind == "ambiguous" else []

    def _make_sessions(self) -> None:
        """Of a session store whose rows name users, by the profile's word."""
        visits = self._found.get("visits")
        if visits is None or not visits.user_in:
            return
        if "sessions" in self._found:
            both = f"{visits.table.name} (by user_in) and {self._found['sessions'].table.name}"
            raise ConfigurationError(f"{self._profile.origin}: {both} are of sessions; leave one of them")
        fields = {name: visits.fields[name] for name in ("token", "expires")}
        why = f"its {visits.fields['data']} names users"
        self._found["sessions"] = Recognised("sessions", visits.table, fields, why, user_in=visits.user_in)

    def _choose_roles(self) -> None:
        users = self._found.get("users")
        if users is None:
            return
        chosen, problems = RoleTables(self._free(), users.table, self._is_ours).choose(self._found)
        for found, why in chosen:
            self._take(found, why)
        self._problems += problems

    def _suspect(self) -> None:
        for table in self._free():
            if self._is_carried(table) and not is_named(table, self._profile.carry):
                self._problems += suspicions(table, self._options.secrets)

    def _is_carried(self, table: SourceTable) -> bool:
        """Whether the table is to be moved at all: of the schemas asked for, else of those with auth tables."""
        only = self._options.only
        schemas = self._options.schemas or {one.table.schema for one in self._found.values()}
        return (not schemas or table.schema in schemas) and (not only or is_named(table, only))


def _is_member(table: SourceTable, field: str, name: str) -> bool:
    """Who is kept out may be said by a member of a column of JSON."""
    return field == "disabled" and bool(path_told(table.columns, name))


def _columns_said(found: Match) -> str:
    required = role_aliases()[found.role].required
    return "its columns " + ", ".join(found.fields[field] for field in required if field in found.fields)
