"""Which tables the options name: by the name on either side, and none that names nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from authstore.errors import ConfigurationError
from authstore.mover.catalog import Source
from authstore.mover.copies import Role
from authstore.mover.names import OWN_TABLES, label
from authstore.mover.options import MoveOptions
from authstore.mover.problems import rows_said
from authstore.mover.recognition.profile import Profile, is_named
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

# What a table says nothing without.
NEEDED: dict[Role, frozenset[Role]] = {
    "accounts": frozenset({"users"}),
    "sessions": frozenset({"users"}),
    "authenticators": frozenset({"users"}),
    "role_permissions": frozenset({"roles", "permissions"}),
    "user_roles": frozenset({"users", "roles"}),
}


def is_chosen(one: Recognised, options: MoveOptions) -> bool:
    """Whether the options leave an auth table among those that move."""
    only = options.only
    chosen = not only or one.role in only or is_named(one.table, only)
    return one.moved and chosen and not is_named(one.table, options.skip)


def alone(one: Recognised, chosen: Iterable[Role], rows: int) -> Problem | None:
    """That a table hangs on others, which `only` leaves behind. `chosen`: the roles that move."""
    missing = sorted(NEEDED.get(one.role, frozenset()) - set(chosen))
    if not missing or not rows:
        return None
    table = label(one.table.schema, one.table.name)
    message = f"{rows_said(rows)} of {table} hang on {' and '.join(missing)}: name {missing[0]} with `only` too"
    return Problem("orphan", table, message, rows, decision="only", stops=True)


def by_source_name(source: Source, options: MoveOptions, profile: Profile) -> MoveOptions:
    """`users`, `sessions`, …: where the source has no table of this name, the one that becomes it is meant."""
    names = {name for table in source.tables for name in (table.name, label(table.schema, table.name))}
    if not {*options.skip, *options.only} & (set(OWN_TABLES) - names):
        return options
    recognised, _ = recognise(source, replace(options, skip=(), only=()), profile)
    there = {one.role: label(one.table.schema, one.table.name) for one in recognised if one.moved}

    def named(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name if name in names else there.get(name, name) for name in given)  # type: ignore[call-overload]

    return replace(options, skip=named(options.skip), only=named(options.only))


def refuse_unknown(
    source: Source,
    recognised: Sequence[Recognised],
    carried: Sequence[str],
    options: MoveOptions,
    profile: Profile,
) -> None:
    """An option, or a line of a profile, that names nothing would do nothing, and nobody would notice.

    Raises `ConfigurationError`.
    """
    all_tables = (*source.tables, *source.elsewhere)
    tables = {name for table in all_tables for name in (table.name, label(table.schema, table.name))}
    for key, named in (("carry", profile.carry), ("leave", profile.leave)):
        if unknown := sorted(set(named) - tables):
            raise ConfigurationError(f"{profile.origin}: {key} names {unknown[0]!r}, and no table is called so")
    known = tables | set(carried) | {one.role for one in recognised}
    for option, given in (("skip", options.skip), ("only", options.only)):
        if unknown := sorted(set(given) - known):
            there = ", ".join(sorted(label(table.schema, table.name) for table in source.tables))
            raise ConfigurationError(f"`{option}`: no table is called {unknown[0]}; there are {there}")
    if unknown := sorted(set(options.schemas) - {table.schema for table in source.tables}):
        raise ConfigurationError(f"`schemas`: there is no table in a schema {unknown[0]}")
    if options.prefix and not any(table.name.startswith(options.prefix) for table in source.tables):
        raise ConfigurationError(f"`prefix`: no table's name begins with {options.prefix}")
