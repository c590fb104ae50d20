"""The words that make a carried table in SQLite: columns, keys, checks, foreign keys, indexes."""

from collections.abc import Mapping, Sequence

from authstore.mover.carried.columns import CarriedColumn, CarriedTable
from authstore.mover.carried.references import CarriedReference
from authstore.mover.catalog import SourceKey
from authstore.mover.names import literal, quote


def create_table(
    table: CarriedTable,
    *,
    primary: SourceKey | None,
    inline: Sequence[SourceKey],
    counted: str | None,
    defaults: Mapping[str, str],
    generated: dict[str, str],
    checks: Sequence[tuple[str, str]],
    links: Sequence[CarriedReference],
) -> str:
    """CREATE TABLE … STRICT.

    `inline` keys stand in the table because rows are found by them while they are copied; all others become indexes
    after the data. `counted` is the column that takes the next number by itself, `defaults` and `generated` are
    SQLite expressions by source column, `checks` pairs of name and expression.
    """
    parts = [
        _column(column, counted == name, defaults.get(name), generated.get(name), primary)
        for name, column in table.columns.items()
    ]
    if primary is not None and counted is None:
        parts.append(f"PRIMARY KEY ({table.quoted(primary.columns)})")
    parts += [f"UNIQUE ({table.quoted(key.columns)})" for key in inline if key is not primary]
    parts += [f"CONSTRAINT {quote(name)} CHECK ({expression})" for name, expression in checks]
    parts += [_foreign_key(table, link) for link in links]
    return f"CREATE TABLE {quote(table.target)} (\n    " + ",\n    ".join(parts) + "\n) STRICT"


def _column(
    column: CarriedColumn, counted: bool, default: str | None, generated: str | None, primary: SourceKey | None
) -> str:
    words = [quote(column.name), column.landing.storage]
    if counted:
        return " ".join([*words, "PRIMARY KEY AUTOINCREMENT"])
    if column.landing.collation:
        words.append(f"COLLATE {column.landing.collation}")
    if not column.source.nullable or (primary is not None and column.source.name in primary.columns):
        words.append("NOT NULL")
    if generated is not None:
        words.append(f"GENERATED ALWAYS AS ({generated}) {'VIRTUAL' if column.source.virtual else 'STORED'}")
    elif default is not None:
        words.append(f"DEFAULT {default}")
    return " ".join([*words, *_value_checks(column)])


def _value_checks(column: CarriedColumn) -> list[str]:
    """What the type itself allowed."""
    name, landing = quote(column.name), column.landing
    if landing.reading == "boolean":
        return [f"CHECK ({name} IN (0, 1))"]
    if landing.reading == "label" and column.source.labels:
        return [f"CHECK ({name} IN ({', '.join(map(literal, column.source.labels))}))"]
    if landing.length is not None:
        return [f"CHECK (length({name}) <= {landing.length})"]
    if landing.storage == "ANY":
        return [f"CHECK (typeof({name}) <> 'text' OR {name} = 'NaN')"]
    return []


def _foreign_key(table: CarriedTable, link: CarriedReference) -> str:
    reference = link.reference
    words = [
        f"CONSTRAINT {quote(reference.name)} FOREIGN KEY ({table.quoted(reference.columns)})",
        f"REFERENCES {quote(link.table)} ({', '.join(map(quote, link.columns))})",
    ]
    if reference.on_delete != "NO ACTION":
        words.append(f"ON DELETE {reference.on_delete}")
    if reference.on_update != "NO ACTION":
        words.append(f"ON UPDATE {reference.on_update}")
    if reference.deferrable:
        words.append(f"DEFERRABLE INITIALLY {'DEFERRED' if reference.deferred else 'IMMEDIATE'}")
    return " ".join(words)


def create_index(table: CarriedTable, name: str, terms: str, *, unique: bool, predicate: str | None = None) -> str:
    """CREATE INDEX over `terms`, already in SQLite's words."""
    where = f" WHERE {predicate}" if predicate else ""
    return f"CREATE {'UNIQUE ' if unique else ''}INDEX {quote(name)} ON {quote(table.target)} ({terms}){where}"
