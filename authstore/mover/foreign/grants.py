"""Roles and permissions of a file: in the store a role is known by its name, a permission by what it allows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from authstore.mover.copies import Role
from authstore.mover.foreign.roles import WITHOUT_DATA, Row
from authstore.mover.names import label, quote
from authstore.mover.problems import SAMPLES, rows_said
from authstore.mover.recognition.grants import is_switch
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.shut import NO_WORDS
from authstore.mover.reports import Problem
from authstore.mover.sqlite.source import SqliteSource


@dataclass(frozen=True, slots=True)
class Parents:
    """What grants hang on. `named`: by what it is known in the store, there and in the grants; `there`: that, by its id
    in the file; `gone`: why another does not come."""

    link: str
    named: tuple[tuple[str, str], ...]
    there: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)

    def known(self, made: Row) -> tuple[str, ...]:
        """By what the store knows it."""
        return tuple(made[name] for name, _ in self.named)

    def put_into(self, grant: Row, own: str) -> None:
        """Into a grant, for the id that it had in the file."""
        grant.update(zip((name for _, name in self.named), self.there[own], strict=True))


def parents() -> dict[Role, Parents]:
    """Of roles and of permissions: nothing is known of them yet."""
    return {
        "roles": Parents("role_id", (("name", "role_name"),)),
        "permissions": Parents("permission_id", (("resource", "resource"), ("action", "action"))),
    }


def about_columns(one: Recognised, extra: Sequence[str], source: SqliteSource) -> Iterator[Problem]:
    """What becomes of the columns without a field; roles that are switched off, which authstore lacks: whoever was
    granted one would have it."""
    table = label(one.table.schema, one.table.name)
    more = [name for name in extra if name != one.fields.get("id")]
    if more:
        done = "left behind" if one.role in WITHOUT_DATA else "kept in data alone"
        yield Problem("left-behind", table, f"columns of {table} without a field are {done}: {', '.join(more)}")
    for column in more if one.role == "roles" else ():
        off = f"lower(trim({quote(column)})) IN {NO_WORDS}"
        if is_switch(column) and (count := source.count(one.table.name, off)):
            said = f"{rows_said(count)} of {table} are switched off by {column}: granted, they hold again"
            some = tuple(str(name) for (name,) in source.samples(one.table.name, [one.fields["name"]], off, SAMPLES))
            yield Problem("left-behind", table, said, count, some)
