"""Which tables of a store come into PostgreSQL, and what is said of the others."""

from collections.abc import Iterator

from authstore.errors import ConfigurationError
from authstore.mover.names import OWN_TABLES
from authstore.mover.options import MoveOptions
from authstore.mover.problems import rows_said, virtual_behind
from authstore.mover.rebuilding.tables import IncomingTables
from authstore.mover.reports import Problem
from authstore.mover.sqlite.source import SqliteSource

# What is said of another application's database, and why a store's own tables need none of it.
_OF_OTHERS = {
    "schemas": "`only` and `skip` choose tables; they go where search_path says (…?options=-csearch_path%3Dapp)",
    "prefix": "its tables have the names that authstore gave them. Leave it out",
    "profile": "which table is which is known. Leave it out",
}


def refuse_options(source: SqliteSource, options: MoveOptions) -> None:
    """Raises `ConfigurationError` for options that name nothing, or that speak of another application's database."""
    for name, why in _OF_OTHERS.items():
        if getattr(options, name):
            raise ConfigurationError(f"`{name}` says nothing of a store: {why}")
    there = {*source.carried_tables(), *source.own_tables()}
    for name, values in (("skip", options.skip), ("only", options.only)):
        if unknown := sorted(set(values) - there):
            raise ConfigurationError(f"`{name}`: no table is called {unknown[0]}; there are {', '.join(sorted(there))}")


def is_wanted(name: str, options: MoveOptions) -> bool:
    """Whether the options leave a table of the file."""
    return name not in options.skip and (not options.only or name in options.only)


def left_behind(source: SqliteSource, incoming: IncomingTables, options: MoveOptions) -> Iterator[Problem]:
    """What does not come: views and triggers that were never in Postgres, virtual tables, what nobody chose."""
    was_there = {view["name"] for view in incoming.sources.get("", {}).get("views", ())}
    for view in incoming.lost_views:
        yield Problem("left-behind", "", f"view {view} stays behind: the file has it no longer")
    with source.as_moved() as plain:
        as_moved = plain.views()
    for view, sql in source.views().items():
        if view not in was_there:
            yield Problem("left-behind", "", f"view {view} stays behind: it was never in Postgres")
        elif sql != as_moved.get(view):
            yield Problem("type", "", f"view {view} comes as it was in Postgres: here it was made anew since")
    for trigger in source.triggers():
        yield Problem("left-behind", "", f"trigger {trigger} stays behind: it was never in Postgres")
    yield from virtual_behind(source.virtual_tables())
    for name in (*OWN_TABLES, *source.carried_tables()):
        if not is_wanted(name, options) and (count := source.count(name)):
            message = f"left behind with {rows_said(count)}, as `skip` and `only` say"
            yield Problem("left-behind", name, message, count)
