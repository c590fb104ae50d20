"""The builder on which a draft's columns and rejects are put together, field by field."""

from collections.abc import Callable

from authstore.mover.auth.draft import Fields
from authstore.mover.auth.facts import Facts
from authstore.mover.auth.json_data import data_object
from authstore.mover.auth.run_times import RunTimes
from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Reject, Storage, TargetColumn
from authstore.mover.postgres.statements import is_any
from authstore.mover.postgres.values import Value


class DraftBuilder:
    """Collects a draft's columns and rejects, field by field, from plain data."""

    def __init__(self, fields: Fields, facts: Facts, times: RunTimes, *, with_expired: bool) -> None:
        self.fields = fields
        self.facts = facts
        self.times = times
        self.with_expired = with_expired
        self.columns: list[TargetColumn] = []
        self.rejects: list[Reject] = []

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

    def put_expiry(self) -> str:
        """When the row expires; the predicate for those that have, "" where they come too."""
        found = self.fields.instant("expires")
        if found is None:
            raise KeyError("expires")
        self.put("expires", "TEXT", found.sql)
        self.reject("bad date", found.bad, "expires")
        self.reject("no expiry", f"NOT ({found.given})", "expires")
        return "" if self.with_expired else found.is_over(self.times.judged)

    def put_data(self) -> None:
        """What has no field; secrets only where they are to be kept."""
        self.put("data", "TEXT", data_object(self.facts.kept, self.fields.zone, self.fields.alias))
        for name, bad in self.facts.unstorable.items():
            self.rejects.append(Reject("JSON that cannot be kept", is_any(self.fields.identity, bad), column=name))
