"""The builder on which a draft's columns and rejects are put together, field by field."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from authstore.mover.auth.addresses import Addresses
from authstore.mover.auth.draft import Fields
from authstore.mover.auth.json_data import data_object, doubtful_json, is_storable_json
from authstore.mover.auth.run_times import RunTimes
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Reject, Storage, TargetColumn
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.statements import is_any, rows
from authstore.mover.postgres.values import Value


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a draft is drawn up in: the snapshot, the options and the moments of the run."""

    connection: SourceConnection
    options: MoveOptions
    times: RunTimes


class DraftBuilder:
    """Collects a draft's columns and rejects, field by field."""

    def __init__(self, fields: Fields, around: Surroundings) -> None:
        self.fields = fields
        self._around = around
        self.columns: list[TargetColumn] = []
        self.rejects: list[Reject] = []

    @property
    def times(self) -> RunTimes:
        return self._around.times

    @property
    def with_expired(self) -> bool:
        return self._around.options.with_expired

    def addresses(self, read: Callable[[SourceConnection, str, str], Addresses], value: str) -> Addresses:
        """What the addresses of the table become."""
        return read(self._around.connection, value, self.fields.source_from())

    def put(self, name: str, storage: Storage, sql: str) -> None:
        self.columns.append(TargetColumn(name, storage, sql))

    def reject(self, reason: str, where: str, field: str) -> None:
        if where != "FALSE":
            self.rejects.append(Reject(reason, where, column=self.fields.one.fields.get(field)))

    def put_text(self, *names: str) -> None:
        for name in names:
            self.put(name, "TEXT", self.fields.text(name))

    def put_key(self, name: str) -> Value:
        value = self.fields.key(name)
        self.put(name, "TEXT", value.sql)
        self.reject(f"no {name}", value.bad, name)
        return value

    def put_value(
        self, name: str, storage: Storage, make: Callable[[SourceColumn, str], Value], otherwise: str
    ) -> None:
        """A field made by one of `field_values`; `otherwise` where the source lacks it."""
        if name not in self.fields:
            self.put(name, storage, otherwise)
            return
        value = make(self.fields.column(name), self.fields.ref(name))
        self.put(name, storage, value.sql)
        self.reject(f"bad {name}", value.bad, name)

    def instant(self, name: str) -> str:
        """SQL of a date field, null where the source lacks it; its bad values are rejects."""
        found = self.fields.instant(name)
        if found is None:
            return "NULL::text"
        self.reject("bad date", found.bad, name)
        return found.sql

    def put_data(self) -> None:
        """What has no field; secrets only with --secrets keep."""
        keep = self._around.options.secrets == "keep"
        columns = [c for c in self.fields.extra if keep or c not in self.fields.secret]
        self.put("data", "TEXT", data_object(columns, self.fields.zone, self.fields.alias))
        self._judge_json(columns)

    def _judge_json(self, columns: Sequence[SourceColumn]) -> None:
        for name, doubtful in doubtful_json(columns, self.fields.alias).items():
            statement = (
                f"SELECT {self.fields.identity}, {self.fields.alias}.{quote(name)}::text "
                f"FROM {self.fields.source_from()} WHERE {doubtful}"
            )
            bad = [
                identity for identity, text in rows(self._around.connection, statement) if not is_storable_json(text)
            ]
            if bad:
                self.rejects.append(Reject("JSON that cannot be kept", is_any(self.fields.identity, bad), column=name))
