"""PostgreSQL's types by the names of its catalogue (`SourceColumn.base`), in families."""

from typing import Final

INTEGERS: Final = frozenset({"int2", "int4", "int8"})
FLOATS: Final = frozenset({"float4", "float8"})
TEXTS: Final = frozenset({"text", "varchar", "bpchar", "citext", "name"})
TIMESTAMPS: Final = frozenset({"timestamp", "timestamptz"})
DATES: Final = TIMESTAMPS | {"date"}
JSONS: Final = frozenset({"json", "jsonb"})
