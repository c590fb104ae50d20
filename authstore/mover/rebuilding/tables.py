"""Which tables come, what each is called in Postgres, and the statements that make it there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from authstore.mover.names import POSTGRES_BYTES, Namespace, cut, folded
from authstore.mover.postgres.target_ledger import TABLES
from authstore.mover.rebuilding.defined import DefinedTable, Places, is_text, new_places, type_steps
from authstore.mover.rebuilding.grown import NO_VALUES, GrownTable, grown_type, not_said, reference, storage_of
from authstore.mover.rebuilding.renaming import QualifiedName, mentioned
from authstore.mover.rebuilding.since import Since
from authstore.mover.rebuilding.steps import Step, Steps
from authstore.mover.reports import Problem
from authstore.mover.sqlite.file_tables import FileReference, FileTable

_SILENT = {"btree_gist": " USING gist ", "btree_gin": " USING gin "}
_KEYS = {"users": "id", "roles": "name"}


@dataclass(frozen=True)
class IncomingTables:
    """`files`: the carried tables, by name; `own`: authstore's; `sources`: what the ledger says of all of them;
    `kinds`: how many values of which kind their columns hold, where no declaration says it; `strangers`: columns whose
    values have outgrown the type that they had in Postgres; `members`: where what extensions made stands; `moved`: the
    tables as they were moved here; `lost_views`: that the file has no longer."""

    files: Mapping[str, FileTable]
    own: Collection[str]
    sources: Mapping[str, Any]
    kinds: Mapping[str, Mapping[str, Mapping[str, int]]]
    strangers: Collection[tuple[str, str]] = ()
    members: Mapping[QualifiedName, QualifiedName] = field(default_factory=dict)
    moved: Mapping[str, FileTable] = field(default_factory=dict)
    lost_views: Collection[str] = ()

    @cached_property
    def names(self) -> Mapping[str, str]:
        """In Postgres, by those in the file: the old ones, where they are free."""
        space = Namespace(self._taken, is_postgres=True)
        return {name: space.take(name if folded(was) in self._taken else was) for name, was in self._old.items()}

    @cached_property
    def _taken(self) -> Collection[str]:
        return {*self.own, "authstore_migrations", *TABLES}

    @cached_property
    def _old(self) -> Mapping[str, str]:
        """Of the tables: what they were called in Postgres, or are in the file where they were never there."""
        return {name: self.sources[name]["name"] if name in self.sources else name for name in self.files}

    @cached_property
    def places(self) -> Places:
        found = new_places(self.sources, self.own, self.names)
        return Places({**self.members, **found.names}, found.own)

    def column_names(self, name: str) -> Mapping[str, str]:
        """Of a table: the columns' names in Postgres, by those in the file."""
        back = {there: here for here, there in self._columns(name).items()}
        space = Namespace(back.values(), is_postgres=True)
        return {
            column.name: back[column.name] if column.name in back else space.take(column.name)
            for column in self.files[name].columns
        }

    def _columns(self, name: str) -> dict[str, str]:
        """Those that were there before and are still: their names in the file, by those in Postgres."""
        if name not in self.sources:
            return {}
        space, found = Namespace(), {}
        there = {folded(column.name): column.name for column in self.files[name].columns}
        for column in self.sources[name]["columns"]:
            here = folded(space.take(column["name"]))
            if here in there and (name, there[here]) not in self.strangers:
                found[column["name"]] = there[here]
        return found

    @cached_property
    def _keys_of_ours(self) -> frozenset[tuple[str, str]]:
        """The columns that hold a user's id or a role's name, also by way of other tables."""
        found: set[tuple[str, str]] = set()
        links = [
            (name, pair, link.table, to)
            for name, table in self.files.items()
            for link in table.references
            for pair, to in zip(link.columns, link.target_columns, strict=True)
        ]
        before = -1
        while len(found) > before:
            before = len(found)
            for name, column, parent, to in links:
                if _KEYS.get(parent) == to or (parent, to) in found:
                    found.add((name, column))
        return frozenset(found)

    def storages(self, name: str) -> Mapping[str, str]:
        """Of the columns of a table, as Postgres has to have them."""
        table = self.files[name]
        return {
            column.name: storage_of(column, table.is_strict, self.kinds.get(name, {}).get(column.name, NO_VALUES))
            for column in table.columns
        }

    def steps(self) -> Steps:
        """Everything that makes the carried tables, in order."""
        steps = Steps([*type_steps(self.sources.get("", {}), self.places, self.used)])
        defined = {name: self.defined(name) for name in self.files}
        taken = [
            index for one in defined.values() if one is not None for index in one.index_names if index not in one.lost
        ]
        space = Namespace([*self.names.values(), *taken], is_postgres=True)
        for name, one in defined.items():
            grown = self._grown(name)
            if one is None:
                steps.first += grown.first()
                steps.later += grown.later(space)
            else:
                steps.first += one.first()
                steps.later += one.later()
                self._add_new(name, one, grown, steps, space)
        for name in self.files:
            steps.later += self._foreign_keys(name)
        steps.later += self._views()
        return steps

    def _add_new(self, name: str, defined: DefinedTable, grown: GrownTable, steps: Steps, space: Namespace) -> None:
        """What a table got since it left Postgres."""
        types = {here: self._declared(name, there) for there, here in self._columns(name).items()}
        kept = (one["name"] for one in defined.definition["constraints"] if one["name"] not in defined.lost)
        for column in self.files[name].columns:
            if column.name not in types:
                steps.first += grown.default(column)
            elif defined.since.has_other_default(column.name):
                steps.first += grown.default(column, types[column.name])
        steps.first += grown.checks(defined.since.new_checks, Namespace(kept, is_postgres=True))
        if defined.since.has_other_key:
            steps.later += grown.key(space)
        steps.later += [grown.index(index, space) for index in defined.since.new_indexes]

    @cached_property
    def used(self) -> frozenset[QualifiedName]:
        """What the tables call by its schema, and extensions whose operators their indexes use without a word."""
        texts = [text for name in self.files for text in texts_in(self.sources.get(name))]
        silent = {("", name) for name, word in _SILENT.items() if any(word in text for text in texts)}
        return frozenset(pair for text in texts for pair in mentioned(text)) | silent

    def defined(self, name: str) -> DefinedTable | None:
        """A table that was in Postgres before."""
        if name not in self.sources:
            return None
        columns, table, grown = self._columns(name), self.files[name], self._grown(name)
        known = set(columns.values())
        return DefinedTable(
            self.sources[name],
            name,
            self.names[name],
            columns,
            {there for there, here in columns.items() if self._is_text_now(name, there, here)},
            self.places,
            self._since(name),
            [grown.column(column) for column in table.columns if column.name not in known],
        )

    def _since(self, name: str) -> Since:
        return Since(self.moved.get(name, self.files[name]), self.files[name])

    def _grown(self, name: str) -> GrownTable:
        """A table as the file has it."""
        return GrownTable(self.files[name], self.names[name], self.storages(name), self.column_names(name))

    def _is_text_now(self, name: str, there: str, here: str) -> bool:
        return (name, here) in self._keys_of_ours and not is_text(self._declared(name, there))

    def _declared(self, name: str, there: str) -> str:
        return next(str(one["type"]) for one in self.sources[name]["columns"] if one["name"] == there)

    def _foreign_keys(self, name: str) -> Iterator[Step]:
        """As they were, where what they point to comes too; new ones, and those to authstore's, as the file says."""
        said: set[tuple[str, ...]] = set()
        defined = self.defined(name)
        for one, columns, step in defined.foreign_keys() if defined else ():
            pointed = next(iter(mentioned(one["definition"].partition(" REFERENCES ")[2].partition("(")[0])))
            if pointed in self.places.names:
                said.add(columns)
                yield step
            elif pointed not in self.places.own or not self._has_link(name, columns):
                said.add(columns)
                missing = "what it points to does not come, or in another form"
                yield Step(name, one["name"], f'foreign key "{one["name"]}"', "", refusal=missing)
        for number, link in enumerate(self.files[name].references):
            if link.columns not in said:
                yield self._link(name, link, number)

    def _has_link(self, name: str, columns: tuple[str, ...]) -> bool:
        """Of a composite key to the users, the file may have kept the part that is their id."""
        return any(set(link.columns) <= set(columns) for link in self.files[name].references)

    def _link(self, name: str, link: FileReference, number: int) -> Step:
        there = self.column_names(name)
        own = [there[column] for column in link.columns]
        parent = link.table if link.table in self.own else self.names.get(link.table, link.table)
        names = self.column_names(link.table) if link.table in self.files else {}
        known, deferral = self._constraint_on(name, link)
        called = known or cut(f"{self.names[name]}_{'_'.join(link.columns)}", end=f"_fkey{number or ''}")
        pointed = [names.get(column, column) for column in link.target_columns]
        return reference(name, self.names[name], called, own, replace(link, table=parent, deferral=deferral), pointed)

    def _constraint_on(self, name: str, link: FileReference) -> tuple[str, str]:
        """The name that a foreign key on these columns had in Postgres, and when it is judged."""
        defined = self.defined(name)
        for one in defined.definition["constraints"] if defined else ():
            if defined and one["kind"] == "f" and set(link.columns) <= set(defined.columns_of(one)):
                _, found, rest = one["definition"].partition(" DEFERRABLE")
                deferral = f"{found}{rest.replace(' NOT VALID', '')}"
                return str(one["name"]), link.deferral if defined.since.is_new(link) else deferral
        return "", link.deferral

    def _views(self) -> Iterator[Step]:
        for view in self.sources.get("", {}).get("views", ()):
            if view["name"] in self.lost_views:
                continue
            gone = sorted(
                f"{schema}.{name}"
                for schema, name in mentioned(view["definition"])
                if (schema, name) in self.places.own
            )
            refusal = f"{gone[0]} is authstore's {self.places.own[tuple(gone[0].split('.', 1))]} now" if gone else ""  # type: ignore[index]
            place = self.places.names[view["schema"], view["name"]][1]
            sql = f"CREATE VIEW {self.places.at(place)} AS {self.places.said(view['definition'])}"
            yield Step("", place, f"view {view['name']}", sql, refusal=refusal)

    def problems(self) -> Iterator[Problem]:
        """What comes back otherwise than it was."""
        for name in self.files:
            yield from self._cut(name)
        for name in self.files:
            if defined := self.defined(name):
                yield from self._otherwise(name, defined)
        for name, table in self.files.items():
            yield from self._not_said(name)
            yield from self._changed(name)
            if name not in self.sources:
                shown = ", ".join(
                    f"{one.name} {grown_type(self.storages(name)[one.name]).split(' COLLATE')[0]}"
                    for one in table.columns
                )
                yield Problem("type", name, f"was never in Postgres: {shown}")

    def _otherwise(self, name: str, defined: DefinedTable) -> Iterator[Problem]:
        """What cannot be there what it was."""
        for column in sorted(defined.texts):
            message = (
                f'column "{column}" ({self._declared(name, column)}) refers to ids, which are text: it becomes text'
            )
            yield Problem("type", name, message)
        if defined.definition["partition_key"]:
            message = f"was partitioned by {defined.definition['partition_key']} and comes back as one table"
            yield Problem("left-behind", name, message)
        for parent in defined.definition.get("inherits", ()):
            yield Problem("left-behind", name, f"inherited from {parent} and comes back alone")
        for one in defined.definition["columns"]:
            if one["name"] not in defined.columns:
                yield Problem("left-behind", name, f'column "{one["name"]}" is gone, or holds other values than it did')
        if defined.is_all_computed:
            yield Problem(
                "left-behind", name, "has computed columns alone: their formulas stay behind, their values come"
            )
        for column in defined.more:
            yield Problem("type", name, f"column {column} was not in Postgres before")

    def _changed(self, name: str) -> Iterator[Problem]:
        """What an application's own migrations changed."""
        defined = self.defined(name)
        if defined is None:
            return
        if name not in self.moved:
            said = "how it was when it was moved here is not noted: what was changed in SQLite since does not come"
            yield Problem("left-behind", name, said)
        for said in defined.since.said(list(self._columns(name).values())):
            yield Problem("type", name, said)
        for lost in sorted(defined.lost):
            yield Problem(
                "left-behind", name, f'"{lost}" does not come as it was: the file has it no longer, or otherwise'
            )

    def _not_said(self, name: str) -> Iterator[Problem]:
        """What the file's own words lose of columns that were never there."""
        known = set(self._columns(name).values())
        yield from not_said(name, [column for column in self.files[name].columns if column.name not in known])

    def _cut(self, name: str) -> Iterator[Problem]:
        """Names that have to be others there."""
        was, now = self._old[name], self.names[name]
        if folded(was) in self._taken and now != was:
            yield Problem("name", name, f'"{was}" becomes "{now}": its own name is authstore\'s')
        pairs = [("", name, self.names[name]), *(("column ", *pair) for pair in self.column_names(name).items())]
        for what, here, there in pairs:
            if len(here.encode()) > POSTGRES_BYTES and here != there:
                message = f'{what}"{here}" becomes "{there}": PostgreSQL has names of {POSTGRES_BYTES} bytes at most'
                yield Problem("name", name, message)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in what the ledger keeps."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for part in value.values() for text in texts_in(part))
    elif isinstance(value, Sequence):
        yield from (text for part in value for text in texts_in(part))
