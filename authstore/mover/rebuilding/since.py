"""How a table of the file differs from what a move made here: what an application's own migrations did to it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from authstore.mover.names import folded, quote
from authstore.mover.sqlite.clauses import checks_in, meaning, terms_in
from authstore.mover.sqlite.file_tables import FileColumn, FileIndex, FileReference, FileTable


@dataclass(frozen=True)
class Since:
    """`was`: the table as it was made, the same as `now` where nobody knows."""

    was: FileTable
    now: FileTable

    @cached_property
    def _columns(self) -> dict[str, FileColumn]:
        return {folded(column.name): column for column in self.was.columns}

    def before(self, column: str) -> FileColumn:
        """What a column was; as it is where it is new."""
        return self._columns.get(folded(column), self.now.column(column))

    @cached_property
    def new_columns(self) -> list[FileColumn]:
        return [column for column in self.now.columns if folded(column.name) not in self._columns]

    def has_other_default(self, column: str) -> bool:
        was, now = self.before(column).default, self.now.column(column).default
        return meaning(was or "") != meaning(now or "")

    def has_other_formula(self, column: str) -> bool:
        return meaning(self.before(column).formula) != meaning(self.now.column(column).formula)

    def may_be_null(self, column: str) -> bool | None:
        """None where that has not changed."""
        was = self.before(column).not_null or column in self.was.primary
        now = self.now.column(column).not_null or column in self.now.primary
        return None if was == now else not now

    @cached_property
    def has_other_key(self) -> bool:
        return [*map(folded, self.was.primary)] != [*map(folded, self.now.primary)]

    @cached_property
    def new_checks(self) -> list[tuple[str, str]]:
        """Each with its name and its expression."""
        known = {meaning(expression) for _, expression in checks_in(self.was.sql)}
        return [(name, words) for name, words in checks_in(self.now.sql) if meaning(words) not in known]

    @cached_property
    def lost_checks(self) -> set[str]:
        """The names of those that the file has no longer."""
        there = {meaning(expression) for _, expression in checks_in(self.now.sql)}
        return {folded(name) for name, words in checks_in(self.was.sql) if name and meaning(words) not in there}

    @cached_property
    def new_indexes(self) -> list[FileIndex]:
        known = {_terms(index) for index in self.was.indexes}
        return [index for index in self.now.indexes if _terms(index) not in known]

    @cached_property
    def lost_indexes(self) -> list[FileIndex]:
        there = {_terms(index) for index in self.now.indexes}
        return [index for index in self.was.indexes if _terms(index) not in there]

    @cached_property
    def lost_references(self) -> list[FileReference]:
        there = {_pointing(link) for link in self.now.references}
        return [link for link in self.was.references if _pointing(link) not in there]

    def is_new(self, link: FileReference) -> bool:
        """Whether it was not there, or not so."""
        return _pointing(link) not in {_pointing(one) for one in self.was.references}

    def said(self, kept: Collection[str]) -> Iterator[str]:
        """What is not as it was of these columns; what is new comes along, or is refused with a reason of its own."""
        for column in self.now.columns:
            if column.name in kept:
                yield from self._said_of(column)

    def _said_of(self, column: FileColumn) -> Iterator[str]:
        was, called = self.before(column.name), f'column "{column.name}"'
        if self.has_other_default(column.name):
            yield f"the default of {called} was {was.default or 'none'}, and is {column.default or 'none'} by now"
        if self.may_be_null(column.name):
            yield f"{called} may be null by now"
        if self.has_other_formula(column.name):
            yield f"{called} has another formula, or one no more: it stays behind, its values come"
        if was.collation != column.collation:
            yield f"{called} compares by {column.collation} in SQLite by now, and there as it did before"


def _terms(index: FileIndex) -> tuple[object, ...]:
    """By which two indexes are one, whatever they are called."""
    if index.sql:
        return (index.unique, *meaning(terms_in(index.sql)))
    return (index.unique, *meaning(f"({', '.join(quote(name) for name in index.columns if name)})"))


def _pointing(link: FileReference) -> tuple[object, ...]:
    names = [(folded(own), folded(there)) for own, there in zip(link.columns, link.target_columns, strict=True)]
    return (tuple(sorted(names)), folded(link.table), link.on_delete, link.on_update, link.deferral)
