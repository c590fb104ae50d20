"""What an application added to authstore's own tables in its file: columns with their rules, indexes, foreign keys."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from authstore.mover.names import Namespace, cut
from authstore.mover.rebuilding.grown import NO_VALUES, GrownTable, not_said, reference, storage_of
from authstore.mover.rebuilding.since import Since
from authstore.mover.rebuilding.steps import Step
from authstore.mover.reports import Problem
from authstore.mover.sqlite.file_tables import FileTable
from authstore.mover.sqlite.source import SqliteSource


@dataclass(frozen=True)
class AddedToOwn:
    """`since`: what became of one of authstore's tables in the file; `names`: the carried tables' in Postgres, by those
    in the file; `kinds`: how many values of which kind its columns hold."""

    since: Since
    names: Mapping[str, str]
    kinds: Mapping[str, Mapping[str, int]]

    @property
    def _table(self) -> FileTable:
        return self.since.now

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns' names in Postgres, by those in the file."""
        space = Namespace(is_postgres=True)
        return {column.name: space.take(column.name) for column in self._table.columns}

    @property
    def _grown(self) -> GrownTable:
        storages = {
            column.name: storage_of(column, is_strict=True, kinds=self.kinds.get(column.name, NO_VALUES))
            for column in self._table.columns
        }
        return GrownTable(self._table, self._table.name, storages, self.columns)

    def first(self) -> Iterator[Step]:
        """The columns, with what judges single rows."""
        grown, name = self._grown, self._table.name
        for column in self.since.new_columns:
            sql = f"ALTER TABLE {grown.at} ADD COLUMN {grown.column(column)}"
            yield Step(name, column.name, f'column "{column.name}"', sql)
            yield from grown.default(column)
        checks = [(called or f"{name}_added_check", words) for called, words in self.since.new_checks]
        yield from grown.checks(checks, Namespace(is_postgres=True))

    def later(self, space: Namespace) -> Iterator[Step]:
        """What rows are judged by together."""
        for index in self.since.new_indexes:
            yield self._grown.index(index, space)
        for link in self._table.references:
            if self.since.is_new(link):
                called = cut(f"{self._table.name}_{'_'.join(link.columns)}", end="_fkey")
                there = replace(link, table=self.names.get(link.table, link.table))
                own = [self.columns[column] for column in link.columns]
                yield reference(self._table.name, self._table.name, called, own, there, link.target_columns)

    def problems(self) -> Iterator[Problem]:
        """What cannot be said there."""
        yield from not_said(self._table.name, self.since.new_columns)
        for here, there in self.columns.items():
            if here != there:
                yield Problem("name", self._table.name, f'column "{here}" becomes "{there}"')


def added_to_own(source: SqliteSource, wanted: Collection[str], names: Mapping[str, str]) -> dict[str, AddedToOwn]:
    """By authstore's table, what is new in it. `names`: of the carried tables in Postgres, by those in the file."""
    found = {}
    with source.as_moved() as plain:
        for name in wanted:
            since = Since(plain.table(name), source.table(name))
            kinds = source.kinds(since.now) if any(one.declared == "ANY" for one in since.new_columns) else {}
            found[name] = AddedToOwn(since, names, kinds)
    return found
