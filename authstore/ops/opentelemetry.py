"""The observer behind `telemetry`. Needs opentelemetry-api; what is done with it is the application's own SDK's affair.

Its histogram takes some microseconds for each value, so only statements are told to it, of which look-ups that wait
together share one. Everything else is counted here, and asked for by the SDK when it collects.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from authstore.models import CacheInfo
from authstore.observers import Observer, Opened, Statistic
from authstore.sql import Query, queries

# Seconds: an answer of SQLite takes tens of microseconds, the longest wait for a lock five seconds.
BUCKETS = (
    *(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_REASONS = 50  # an application may make up its own, but not without end
_ENDINGS = {"end_session", "note_ending", "note_endings", "note_deaths", "insert_ended_token"}

Attributes = dict[str, AttributeValue]


class Telemetry(Observer):
    """See `authstore.ops.telemetry`."""

    def __init__(self, meter_provider: MeterProvider | None, tracer_provider: TracerProvider | None) -> None:
        self._place: Attributes = {}
        self._attributes: dict[tuple[str, str | None], Attributes] = {}
        self._calls: dict[tuple[str, str | None], list[float]] = {}  # how many, and their seconds
        self._waits = {"thread": 0.0, "lock": 0.0}
        self._created = 0
        self._ended: Counter[str] = Counter()
        self._cache_info: Callable[[], CacheInfo] | None = None
        self._tracer = trace.get_tracer("authstore", tracer_provider=tracer_provider)
        meter = metrics.get_meter("authstore", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        count, gauge = meter.create_observable_counter, meter.create_observable_gauge
        count("authstore.operations", [self._count_calls], "{call}", "Calls of the store")
        count("authstore.operation.time", [self._time_calls], "s", "Time that calls of the store took")
        count("authstore.wait.time", [self._time_waits], "s", "Time that calls waited")
        count("authstore.sessions.created", [self._count_created], "{session}", "Sessions that began")
        count("authstore.sessions.ended", [self._count_ended], "{session}", "Sessions that ended")
        count("authstore.cache.lookups", [self._count_lookups], "{lookup}", "Look-ups of sessions in the cache")
        gauge("authstore.cache.entries", [self._count_entries], "{session}", "Sessions in the cache")

    def on_open(self, opened: Opened, /) -> None:
        """See `authstore.observers.Observer`."""
        self._place = {"db.system.name": opened.system, "db.namespace": opened.namespace}
        self._attributes.clear()
        self._cache_info = opened.cache_info

    def on_statement(self, statistic: Statistic, /) -> None:
        """See `authstore.observers.Observer`."""
        name, seconds, _, _, rows, error, reason = statistic
        attributes = self._attributes.get((name, error)) or self._attributes_of(name, error)
        self._duration.record(seconds, attributes)
        if rows and name in _ENDINGS and reason != "rotated":
            known = reason in self._ended or len(self._ended) < _REASONS
            self._ended[(reason or "expired") if known else "other"] += rows
        context = trace.get_current_span().get_span_context()
        if context.is_valid and not context.trace_flags.sampled:
            return  # the trace around it is not kept
        ended = time.time_ns()
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=ended - int(seconds * 1e9)
        )
        if span.is_recording():
            _finish(span, statistic, ended)

    def on_operation(self, statistic: Statistic, /) -> None:
        """See `authstore.observers.Observer`."""
        name, seconds, waited, locked, rows, error, _ = statistic
        call = self._calls.get((name, error))
        if call is None:
            call = self._calls[name, error] = [0, 0.0]
        call[0] += 1
        call[1] += seconds
        self._waits["thread"] += waited
        self._waits["lock"] += locked
        if name == "create_session":
            self._created += rows

    def _attributes_of(self, name: str, error: str | None) -> Attributes:
        attributes = {**self._place, "db.query.summary": name}
        query = vars(queries).get(name)
        if isinstance(query, Query) and query.sqlite:
            attributes["db.operation.name"] = query.sqlite.split(maxsplit=1)[0].upper()
        if error is not None:
            attributes["error.type"] = error
        self._attributes[name, error] = attributes
        return attributes

    def _count_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(int(call[0]), self._call(*key)) for key, call in list(self._calls.items())]

    def _time_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(call[1], self._call(*key)) for key, call in list(self._calls.items())]

    def _time_waits(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(seconds, {**self._place, "authstore.wait.for": what}) for what, seconds in self._waits.items()
        ]

    def _count_created(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self._created, self._place)]

    def _count_ended(self, _: CallbackOptions) -> Iterable[Observation]:
        ended = list(self._ended.items())
        return [Observation(count, {**self._place, "authstore.reason": reason}) for reason, count in ended]

    def _count_lookups(self, _: CallbackOptions) -> Iterable[Observation]:
        info = self._cache_info() if self._cache_info else None
        if info is None or not info.size:
            return []
        found = {"hit": info.hits, "miss": info.misses}
        return [
            Observation(count, {**self._place, "authstore.cache.result": result}) for result, count in found.items()
        ]

    def _count_entries(self, _: CallbackOptions) -> Iterable[Observation]:
        info = self._cache_info() if self._cache_info else None
        return [Observation(info.entries, self._place)] if info and info.size else []

    def _call(self, name: str, error: str | None) -> Attributes:
        attributes = {**self._place, "authstore.operation": name}
        return {**attributes, "error.type": error} if error else attributes


def _finish(span: Span, statistic: Statistic, ended: int) -> None:
    span.set_attribute("db.response.returned_rows", statistic.rows)
    if statistic.waited:
        span.set_attribute("authstore.waited", statistic.waited)
    if statistic.locked:
        span.set_attribute("authstore.locked", statistic.locked)
    if statistic.error is not None:
        span.set_status(StatusCode.ERROR)
    span.end(ended)
