"""Which tables the options name: by the name on either side, and none that names nothing."""

from collections.abc import Sequence
from dataclasses import replace

from authstore.errors import ConfigurationError
from authstore.mover.catalog import Source
from authstore.mover.names import OWN_TABLES, label
from authstore.mover.options import MoveOptions
from authstore.mover.recognition.profile import Profile
from authstore.mover.recognition.recognise import recognise
from authstore.mover.recognition.recognised import Recognised


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
    source: Source, recognised: Sequence[Recognised], carried: Sequence[str], options: MoveOptions
) -> None:
    """An option that names nothing would do nothing, and nobody would notice. Raises `ConfigurationError`."""
    tables = {name for table in source.tables for name in (table.name, label(table.schema, table.name))}
    known = tables | set(carried) | {one.role for one in recognised}
    for option, given in (("skip", options.skip), ("only", options.only)):
        if unknown := sorted(set(given) - known):
            there = ", ".join(sorted(label(table.schema, table.name) for table in source.tables))
            raise ConfigurationError(f"`{option}`: no table is called {unknown[0]}; there are {there}")
    if unknown := sorted(set(options.schemas) - {table.schema for table in source.tables}):
        raise ConfigurationError(f"`schemas`: there is no table in a schema {unknown[0]}")
    if options.prefix and not any(table.name.startswith(options.prefix) for table in source.tables):
        raise ConfigurationError(f"`prefix`: no table's name begins with {options.prefix}")
