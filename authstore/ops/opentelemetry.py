"""The observer behind `telemetry`. Needs opentelemetry-api; what is done with it is the application's own SDK's affair.

Its histogram takes some microseconds for each value, and there is no other way to fill one, so only statements are told
to it, of which look-ups that wait together share one. Everything else is counted here, and asked for by the SDK when it
collects; it asks for that first, and gets the statements that were not told yet with it.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from threading import Lock

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from authstore.models import CacheInfo
from authstore.observers import Observer, Opened, Statistic
from authstore.sql import Query, queries

# Seconds: an answer of SQLite takes tens of microseconds, the longest wait for a lock five seconds.
BUCKETS = (
    *(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
# How many statements and calls wait to be counted together; the SDK's histogram takes some microseconds for each.
_RECORDED_TOGETHER, _COUNTED_TOGETHER = 16, 64
_REASONS = 50  # an application may make up its own, but not without end
_CREATES = "create_session"
_ENDINGS = {"end_session", "note_ending", "note_endings", "note_deaths", "insert_ended_token"}

Attributes = dict[str, AttributeValue]


class Telemetry(Observer):
    """See `authstore.ops.telemetry`."""

    def __init__(self, meter_provider: MeterProvider | None, tracer_provider: TracerProvider | None) -> None:
        self._place: Attributes = {}
        self._attributes: dict[str | tuple[str, str], Attributes] = {}
        self._calls: dict[str | tuple[str, str], _Calls] = {}  # by name; of those that failed, by their error too
        self._unrecorded: deque[tuple[float, Attributes]] = deque()  # statements: their seconds
        self._uncounted: deque[Statistic] = deque()  # calls
        self._counting = Lock()  # the SDK asks from a thread of its own
        self._ended: Counter[str] = Counter()
        self._cache_info: Callable[[], CacheInfo] | None = None
        self._tracer = trace.get_tracer("authstore", tracer_provider=tracer_provider)
        self._may_begin = not _begins_none(self._tracer)
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
        attributes = self._attributes.get(name if error is None else (name, error)) or self._attributes_of(name, error)
        if rows and name in _ENDINGS and reason != "rotated":
            known = reason in self._ended or len(self._ended) < _REASONS
            self._ended[(reason or "expired") if known else "other"] += rows
        around = trace.get_current_span().get_span_context()
        if around.is_valid and around.trace_flags.sampled:
            self._duration.record(seconds, attributes)  # now: with this trace as an example
        else:
            self._unrecorded.append((seconds, attributes))
            if len(self._unrecorded) >= _RECORDED_TOGETHER:
                self._count()
            if around.is_valid or not self._may_begin:
                return  # the trace around it is not kept, or none begins here
        ended = time.time_ns()
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=ended - int(seconds * 1e9)
        )
        if span.is_recording():
            _finish(span, statistic, ended)

    def on_operation(self, statistic: Statistic, /) -> None:
        """See `authstore.observers.Observer`."""
        self._uncounted.append(statistic)
        if len(self._uncounted) >= _COUNTED_TOGETHER:
            self._count()

    def _count(self) -> None:
        """Of many together: for one at a time the processor would have to come back to it from something else."""
        with self._counting:
            for _ in range(len(self._unrecorded)):
                self._duration.record(*self._unrecorded.popleft())
            for _ in range(len(self._uncounted)):
                name, seconds, waited, locked, rows, error, _ = self._uncounted.popleft()
                key = name if error is None else (name, error)
                calls = self._calls.get(key)
                if calls is None:
                    calls = self._calls[key] = _Calls(name, error)
                calls.count += 1
                calls.seconds += seconds
                calls.waited += waited
                calls.locked += locked
                calls.rows += rows

    def _counted(self) -> "list[_Calls]":
        self._count()
        return list(self._calls.values())

    def _attributes_of(self, name: str, error: str | None) -> Attributes:
        attributes = {**self._place, "db.query.summary": name}
        query = vars(queries).get(name)
        if isinstance(query, Query) and query.sqlite:
            attributes["db.operation.name"] = query.sqlite.split(maxsplit=1)[0].upper()
        if error is not None:
            attributes["error.type"] = error
        self._attributes[name if error is None else (name, error)] = attributes
        return attributes

    def _count_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(calls.count, self._call(calls)) for calls in self._counted()]

    def _time_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(calls.seconds, self._call(calls)) for calls in self._counted()]

    def _time_waits(self, _: CallbackOptions) -> Iterable[Observation]:
        every = self._counted()
        waits = {"thread": sum(calls.waited for calls in every), "lock": sum(calls.locked for calls in every)}
        return [Observation(seconds, {**self._place, "authstore.wait.for": what}) for what, seconds in waits.items()]

    def _count_created(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(calls.rows for calls in self._counted() if calls.name == _CREATES), self._place)]

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

    def _call(self, calls: "_Calls") -> Attributes:
        attributes = {**self._place, "authstore.operation": calls.name}
        return {**attributes, "error.type": calls.error} if calls.error else attributes


class _Calls:
    """Public calls of one name that ended alike: how many, what they returned, and their seconds."""

    __slots__ = ("count", "error", "locked", "name", "rows", "seconds", "waited")

    def __init__(self, name: str, error: str | None) -> None:
        self.name = name
        self.error = error
        self.count = self.rows = 0
        self.seconds = self.waited = self.locked = 0.0


def _begins_none(tracer: Tracer) -> bool:
    """Whether of traces that would begin here none is kept, as the sampler of the SDK's tracer describes itself; to ask
    it each time takes longer than the query."""
    describe = getattr(getattr(tracer, "sampler", None), "get_description", str)
    return str(describe()).startswith(("AlwaysOffSampler", "ParentBased{root:AlwaysOffSampler"))


def _finish(span: Span, statistic: Statistic, ended: int) -> None:
    span.set_attribute("db.response.returned_rows", statistic.rows)
    if statistic.waited:
        span.set_attribute("authstore.waited", statistic.waited)
    if statistic.locked:
        span.set_attribute("authstore.locked", statistic.locked)
    if statistic.error is not None:
        span.set_status(StatusCode.ERROR)
    span.end(ended)
