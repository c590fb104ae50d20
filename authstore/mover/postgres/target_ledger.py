"""What a move writes down in the schema it fills, as it does in a file: from where, with which digests.

The ledger of a stretch is written in the transaction of its rows, so after a kill both are there or neither.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from authstore.mover.batches import Digests, Key
from authstore.mover.names import quote
from authstore.mover.postgres.target import PostgresTarget
from authstore.mover.stretches import Stretch, digest_of, joined_digests, read_key, written_key

TABLES = ("authstore_move", "authstore_move_tables", "authstore_move_stretches", "authstore_move_spellings")
_SCHEMA = """
CREATE TABLE {0}.authstore_move (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE {0}.authstore_move_tables (
    name text COLLATE "C" PRIMARY KEY,
    is_whole boolean NOT NULL,
    query text NOT NULL,
    rejected bigint NOT NULL DEFAULT 0
);
CREATE TABLE {0}.authstore_move_stretches (
    name text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    last_key text NOT NULL,
    rows bigint NOT NULL,
    digest bytea NOT NULL,
    digests bytea NOT NULL,
    PRIMARY KEY (name, number)
);
-- Rows that the database spells otherwise than the source does, by the digests there and here; here NULL: it refused
-- the row, and why.
CREATE TABLE {0}.authstore_move_spellings (
    name text COLLATE "C" NOT NULL,
    there bytea NOT NULL,
    here bytea,
    reason text,
    PRIMARY KEY (name, there)
);
"""
_DIGITS = 32


class PostgresLedger:
    """The ledger in a schema. Writes belong to the transaction that is open."""

    def __init__(self, target: PostgresTarget, schema: str) -> None:
        self._target = target
        self._schema = schema
        at = quote(schema)
        self._notes, self._tables, self._stretches, self._spellings = (f"{at}.{name}" for name in TABLES)

    def create(self) -> None:
        self._target.execute(_SCHEMA.format(quote(self._schema)))

    def is_there(self) -> bool:
        """Whether there is one: a table of somebody else's may have its name."""
        return self._target.has_column(self._schema, TABLES[0], "value")

    def notes(self) -> dict[str, str]:
        """Everything noted of the run; nothing where there is no ledger."""
        return dict(self._target.rows(f"SELECT name, value FROM {self._notes}")) if self.is_there() else {}

    def note(self, notes: Mapping[str, str]) -> None:
        for name, value in notes.items():
            self._target.execute(
                f"INSERT INTO {self._notes} (name, value) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [name, value],
            )

    def queries(self) -> dict[str, str]:
        """The query of each table's keys and digests, as it was when the table was moved."""
        return dict(self._target.rows(f"SELECT name, query FROM {self._tables}"))

    def tables(self) -> dict[str, int]:
        """The tables that were moved, and how many of their rows were rejected."""
        return dict(self._target.rows(f"SELECT name, rejected FROM {self._tables}"))

    def is_whole(self, table: str) -> bool:
        """Whether every row of the table was copied once."""
        return self._target.rows(f"SELECT is_whole FROM {self._tables} WHERE name = %s", [table]) == [(True,)]

    def set_table(self, table: str, query: str, *, is_whole: bool) -> None:
        self._target.execute(
            f"INSERT INTO {self._tables} (name, query, is_whole) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET query = excluded.query, is_whole = excluded.is_whole",
            [table, query, is_whole],
        )

    def set_rejected(self, table: str, rejected: int) -> None:
        self._target.execute(f"UPDATE {self._tables} SET rejected = %s WHERE name = %s", [rejected, table])

    def forget(self, table: str, query: str) -> None:
        """As if the table had never been copied; what the server makes of some of its rows stays true."""
        self._target.execute(f"DELETE FROM {self._stretches} WHERE name = %s", [table])
        self.set_table(table, query, is_whole=False)

    def stretches(self, table: str) -> list[Stretch]:
        rows = self._target.rows(
            f"SELECT number, last_key, rows, digest FROM {self._stretches} WHERE name = %s ORDER BY number", [table]
        )
        return [Stretch(number, read_key(text), count, bytes(digest)) for number, text, count, digest in rows]

    def digests(self, table: str, number: int) -> Digests:
        """Of each row of a stretch, in the order of their keys."""
        ((digits,),) = self._target.rows(
            f"SELECT encode(digests, 'hex') FROM {self._stretches} WHERE (name, number) = (%s, %s)", [table, number]
        )
        return [digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS)]

    def next_number(self, table: str) -> int:
        """Of the stretch behind the last."""
        ((last,),) = self._target.rows(f"SELECT max(number) FROM {self._stretches} WHERE name = %s", [table])
        return 0 if last is None else int(last) + 1

    def put(self, table: str, number: int, last_key: Key, digests: Sequence[str]) -> None:
        """The stretch of this number consists of rows with these digests now."""
        joined = joined_digests(digests)
        self._target.execute(
            f"INSERT INTO {self._stretches} (name, number, last_key, rows, digest, digests)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (name, number) DO UPDATE SET"
            " rows = excluded.rows, digest = excluded.digest, digests = excluded.digests",
            [table, number, written_key(last_key), len(digests), digest_of(joined), joined],
        )

    def note_spellings(self, table: str, spelt: Mapping[str, str | None], reasons: Mapping[str, str]) -> None:
        """What became of rows, by the source's digest; `reasons`: of those that were refused."""
        with self._target.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self._spellings} (name, there, here, reason) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (name, there) DO UPDATE SET here = excluded.here, reason = excluded.reason".encode(),
                [
                    (table, bytes.fromhex(there), None if here is None else bytes.fromhex(here), reasons.get(there))
                    for there, here in spelt.items()
                ],
            )

    def spellings(self, table: str) -> dict[str, str | None]:
        """As they were noted."""
        found: list[tuple[Any, ...]] = self._target.rows(
            f"SELECT encode(there, 'hex'), encode(here, 'hex') FROM {self._spellings} WHERE name = %s", [table]
        )
        return dict(found)

    def refused(self, table: str) -> dict[str, str]:
        """The rows that were refused, by the source's digest, and why."""
        return dict(
            self._target.rows(
                f"SELECT encode(there, 'hex'), coalesce(reason, '') FROM {self._spellings}"
                " WHERE name = %s AND here IS NULL",
                [table],
            )
        )
