"""Another application's file made into a store's, table by table, in one pass over its rows."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from authstore.mover.catalog import QualifiedName, Source, SourceTable
from authstore.mover.copies import Role
from authstore.mover.foreign.bringing import Bringing
from authstore.mover.foreign.carried import CarriedTables
from authstore.mover.foreign.catalog import SCHEMA, catalog_of, lucia
from authstore.mover.foreign.conversion import Conversion
from authstore.mover.foreign.grants import about_columns, parents
from authstore.mover.foreign.roles import (
    GRANTS,
    HARMLESS,
    UNIQUE,
    WITHOUT_DATA,
    Moments,
    Reading,
    Row,
    UnknownWordError,
)
from authstore.mover.foreign.values import NO_TEXT, BadValueError, has_no_text
from authstore.mover.names import OWN_TABLES, label, quote
from authstore.mover.options import MoveOptions
from authstore.mover.problems import rows_said
from authstore.mover.recognition.chosen import alone, by_source_name, is_chosen, refuse_unknown
from authstore.mover.recognition.outcasts import kept_out, outcasts
from authstore.mover.recognition.profile import Profile, is_named, read_profile
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import may_hold_tokens, seems_raw, unrecognised
from authstore.mover.reports import Problem
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.file_tables import FileTable
from authstore.mover.sqlite.source import SqliteSource

Say = Callable[[str, int], None]


class Converter:
    """From an open file into an open store, whose tables are there and empty."""

    def __init__(
        self, source: SqliteSource, store: TargetConnection, options: MoveOptions, moments: Moments, say: Say
    ) -> None:
        self._source = source
        self._store = store
        self._options = options
        self._moments = moments
        self._say = say
        self._done = Conversion()
        self._users: dict[str, str] = {}  # each user's id → under which it is in the store
        self._gone: dict[str, str] = {}  # users that do not come, and by which decision
        self._parents = parents()

    def convert(self) -> Conversion:
        """Everything, in the transaction that is open. Raises `ConfigurationError` for options that name nothing."""
        tables = {name: self._source.table(name) for name in self._source.plain_tables()}
        catalog = catalog_of(self._source, tables)
        profile = self._profile(tables)
        self._options = by_source_name(catalog, self._options, profile)
        recognised = self._recognise(catalog, profile)
        roles: dict[Role, Recognised] = {one.role: one for one in recognised if one.moved}
        roles = self._chosen(roles, tables)
        for role in OWN_TABLES:
            if role in roles and role == "sessions" and roles[role].user_in:
                self._done.problems.append(_named_in_data(roles[role]))
            elif role in roles:
                self._bring(roles[role], tables[roles[role].table.name])
        self._done.problems += [self._left_behind(one) for one in recognised if not one.moved]
        known = {one.table.name for one in recognised}
        others = {name: table for name, table in tables.items() if name not in known}
        carried = CarriedTables(
            self._source, self._store, others, roles, self._users, self._done, self._options, self._say
        )
        refuse_unknown(catalog, recognised, carried.names, self._options, profile)
        carried.bring()
        return self._done

    def _profile(self, tables: Mapping[str, FileTable]) -> Profile:
        if self._options.profile is not None:
            return read_profile(self._options.profile)
        return lucia(tables) or Profile()

    def _chosen(self, roles: Mapping[Role, Recognised], tables: Mapping[str, FileTable]) -> dict[Role, Recognised]:
        """Those that `only` names. Of users who are left behind it is known all the same who they are."""
        chosen: dict[Role, Recognised] = {role: one for role, one in roles.items() if is_chosen(one, self._options)}
        for role, one in roles.items():
            if role in chosen:
                found = alone(one, chosen, self._source.count(one.table.name))
                self._done.problems += [found] if found else []
            else:
                self._done.problems.append(self._left_behind(replace(one, why="as `only` says")))
                if role == "users":
                    table = tables[one.table.name]
                    deque(self._decided_users(self._bringing(one, table), self._source.rows(table)), maxlen=0)
        return chosen

    def _left_behind(self, one: Recognised) -> Problem:
        """An auth table that does not come."""
        table, count = label(SCHEMA, one.table.name), self._source.count(one.table.name)
        return Problem("left-behind", table, f"{table} is left behind with {rows_said(count)}: {one.why}", count)

    def _bringing(self, one: Recognised, table: FileTable) -> Bringing:
        reading = Reading(one, self._moments, self._options.naive_tz, self._options.secrets)
        return Bringing(one, table, reading)

    def _recognise(self, catalog: Source, profile: Profile) -> Sequence[Recognised]:
        recognised, problems = recognise(catalog, self._options, profile)
        self._done.recognised = recognised
        self._done.problems += problems
        options = self._options
        decided = (*options.skip, *profile.leave, *profile.carry)
        people = {(one.table.schema, one.table.name) for one in recognised if one.role == "users"}
        known = {one.table.name for one in recognised} | {problem.table for problem in problems}
        for table in catalog.tables:
            is_new = table.name not in known and label(SCHEMA, table.name) not in known
            is_wanted = not is_named(table, decided) and (not options.only or is_named(table, options.only))
            if is_new and is_wanted:
                self._done.problems += self._suspects(table, people)
        return recognised

    def _suspects(self, table: SourceTable, people: Collection[QualifiedName]) -> list[Problem]:
        for by, barred in outcasts(table, people):
            if count := self._source.count(table.name, barred):
                return [kept_out(table, count, by)]
        columns = may_hold_tokens(table, people)
        raw = tuple(one.name for one in columns if seems_raw(one, self._sample(table.name, one.name)))
        return [unrecognised(table, raw)] if raw else []

    def _sample(self, table: str, column: str) -> list[str]:
        return [str(value) for value in self._source.sample(table, column, 200)]

    def _bring(self, one: Recognised, table: FileTable) -> None:
        bringing = self._bringing(one, table)
        self._done.sources[one.role] = table.name
        self._done.types[one.role] = self._types(bringing, table)
        self._done.problems += self._about_secrets(one, bringing.reading.secret)
        rows = self._source.rows(table)
        if one.role == "users":
            self._put(bringing, self._decided_users(bringing, rows))
        elif one.role in self._parents:
            self._put(bringing, self._known(bringing, rows))
        else:
            self._put(bringing, self._living(bringing, rows))
        if one.role in GRANTS:
            self._done.problems += about_columns(one, bringing.reading.extra, self._source)
        self._done.problems += bringing.problems(self._options)
        self._done.left_out += bringing.left_out

    def _types(self, bringing: Bringing, table: FileTable) -> dict[str, tuple[str, str]]:
        """Of each column of the store's, and of what goes into `data`, what it was there and is here."""
        declared = {column.name: column.declared.lower() for column in table.columns}
        fields, role = bringing.one.fields, bringing.one.role
        columns = self._store.execute(f"PRAGMA table_info({quote(role)})").fetchall()
        types = {name: (declared.get(fields.get(name, ""), ""), kind) for _, name, kind, *_ in columns}
        kept = bringing.reading.extra if role not in WITHOUT_DATA else ()
        return types | {f"data.{name}": (declared[name], "JSON in data") for name in kept}

    def _about_secrets(self, one: Recognised, names: Sequence[str]) -> Iterator[Problem]:
        """Columns that hold something and have no field."""
        table, secrets = label(SCHEMA, one.table.name), self._options.secrets
        done = {"stop": "", "keep": ": kept in data", "drop": ": dropped"}[secrets]
        for name in names:
            if count := self._source.count(one.table.name, f"coalesce({quote(name)}, '') <> ''"):
                message = f"{name} of {table} seems to hold secrets and has no field{done}"
                stops = self._options.is_undecided("secrets")
                yield Problem("secret", table, message, count, decision="secrets", stops=stops)

    def _put(self, bringing: Bringing, made: Iterator[Row]) -> None:
        role, count = bringing.one.role, 0
        statement = ""
        for row in made:
            if not statement:
                names = ", ".join(map(quote, row))
                statement = f"INSERT INTO {quote(role)} ({names}) VALUES ({', '.join('?' * len(row))})"
            self._store.execute(statement, tuple(row.values()))
            count += 1
            if count % 5000 == 0:
                self._say(role, count)
        self._done.rows[role] = count

    def _made(self, bringing: Bringing, rows: Iterator[Row]) -> Iterator[tuple[Row, Row]]:
        """Each row with what it becomes; what cannot become anything is left out."""
        for row in rows:
            if has_no_text(row):
                bringing.leave(row, NO_TEXT, "on_bad_row")
                continue
            try:
                made = bringing.reading.made(row)
                is_shut = bringing.one.role != "users" and bringing.reading.is_shut(row)
            except UnknownWordError as error:
                bringing.leave(row, str(error), "profile")
                continue
            except BadValueError as error:
                bringing.leave(row, str(error), "on_bad_row")
                continue
            if is_shut:
                bringing.shut += 1
            elif bringing.reading.is_over(made) and not self._options.with_expired:
                bringing.over += 1
            else:
                yield row, made

    def _decided_users(self, bringing: Bringing, rows: Iterator[Row]) -> Iterator[Row]:
        """The oldest of each address first, so that it is the one that stays."""
        found = sorted(self._made(bringing, rows), key=lambda pair: (pair[1]["created_at"], pair[1]["id"]))
        by_address: dict[str, Row] = {}
        kept = []
        for row, made in found:
            oldest = by_address.setdefault(made["email"], made) if made["email"] else made
            if oldest is made and made["id"] not in self._users:
                self._users[made["id"]] = made["id"]
                kept.append(made)
                bringing.disabled += made["disabled"]
            elif oldest is made:
                bringing.leave(row, "the same id as an older row", "on_duplicate")
            else:
                self._leave_twin(bringing, row, made, oldest)
        ids = {made["id"] for made in kept}
        for left in bringing.left_out:
            if (gone := str(left.row[bringing.one.fields["id"]])) not in ids and gone not in self._users:
                self._gone[gone] = left.reason
        yield from sorted(kept, key=lambda made: str(made["id"]))

    def _leave_twin(self, bringing: Bringing, row: Row, made: Row, oldest: Row) -> None:
        merges = self._options.on_duplicate == "merge" and made["email_verified"] and oldest["email_verified"]
        if merges:
            self._users[made["id"]] = oldest["id"]
        reason = "merged into the oldest" if merges else "the same e-mail address as an older row"
        stays = self._options.on_duplicate == "merge" and not merges
        bringing.leave(row, reason, "" if merges else "on_duplicate", stops=stays or None)

    def _known(self, bringing: Bringing, rows: Iterator[Row]) -> Iterator[Row]:
        """Roles or permissions, each only once; what hangs on another of the same goes to the first, where that gives
        nobody more than is decided."""
        role, known = bringing.one.role, self._parents[bringing.one.role]
        what, first = UNIQUE[role][0][0], set[tuple[str, ...]]()
        is_one = role in HARMLESS or self._options.on_duplicate == "merge"
        for row, made in self._made(bringing, rows):
            own, name = made.pop("id"), known.known(made)
            if own and (name not in first or is_one):
                known.there[own] = name
            if name not in first:
                first.add(name)
                yield made
            else:
                bringing.leave(row, f"the same {what} as an older row", "on_duplicate", stops=False if is_one else None)
        for left in bringing.left_out:
            known.gone[str(left.row[bringing.one.fields["id"]])] = left.reason

    def _living(self, bringing: Bringing, rows: Iterator[Row]) -> Iterator[Row]:
        """Those whose user comes, each only once."""
        seen: dict[str, set[Any]] = {name: set() for name, _ in UNIQUE[bringing.one.role]}
        for row, made in self._made(bringing, rows):
            if not (self._follow_user(bringing, row, made) and self._follow(bringing, row, made)):
                continue
            keys = {name: tuple(made[column] for column in columns) for name, columns in UNIQUE[bringing.one.role]}
            twin = next((name for name, key in keys.items() if key in seen[name]), None)
            if twin is not None:
                stops = False if bringing.one.role in HARMLESS else None
                bringing.leave(row, f"the same {twin} as an older row", "on_duplicate", stops=stops)
                continue
            for name, key in keys.items():
                seen[name].add(key)
            yield made

    def _follow(self, bringing: Bringing, row: Row, made: Row) -> bool:
        """Whether the roles and permissions come that a grant hangs on, and as what."""
        for role, known in self._parents.items():
            own = made.pop(known.link, "")
            if own in known.there:
                known.put_into(made, own)
            elif own in known.gone:
                what = role.removesuffix("s")
                bringing.leave(row, f"its {what} is rejected: {known.gone[own]}", "", stops=False)
                return False
            elif own != "":
                bringing.leave(row, "orphan", "on_orphan")
                return False
        return True

    def _follow_user(self, bringing: Bringing, row: Row, made: Row) -> bool:
        """Whether the row's user comes, and under which id."""
        if "user_id" not in made:
            return True
        user = made["user_id"]
        if user in self._users:
            made["user_id"] = self._users[user]
            return True
        if user in self._gone:
            bringing.leave(row, f"its user is rejected: {self._gone[user]}", "", stops=False)
        else:
            bringing.leave(row, "orphan", "on_orphan")
        return False


def _named_in_data(one: Recognised) -> Problem:
    table = label(SCHEMA, one.table.name)
    said = f"user_in of {table} is for a database in PostgreSQL: take it out, and its rows come as visits alone"
    return Problem("unrecognised", table, said, decision="profile", stops=True)
