"""OpenTelemetry: its stable metrics and spans for what a store asks of its database, `authstore.*` for the rest."""

from typing import TYPE_CHECKING

from authstore.extras import missing
from authstore.observers import Observer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


def telemetry(
    *, meter_provider: "MeterProvider | None" = None, tracer_provider: "TracerProvider | None" = None
) -> Observer:
    """An observer that tells OpenTelemetry (extra `otel`); one for each store.

    Without providers the global ones are told. Metrics:

    - `db.client.operation.duration`, a histogram in seconds of every named query (its buckets begin at 25 µs), by
      `db.query.summary`, `db.system.name`, `db.namespace`, `error.type`;
    - `authstore.operations` and `authstore.operation.time` (seconds): public calls, by `authstore.operation` and
      `error.type`;
    - `authstore.wait.time` (seconds), by `authstore.wait.for`: "thread" (a database thread or a connection) or "lock";
    - `authstore.sessions.created`; `authstore.sessions.ended`, by `authstore.reason`;
    - `authstore.cache.lookups`, by `authstore.cache.result` ("hit", "miss"); `authstore.cache.entries`.

    Each query is a span of its own, within whichever the caller is in; whether it is kept is the provider's to say, and
    in a trace that is not kept none is made.
    Nothing tells a value, a token or an address. Raises `ModuleNotFoundError` that says what to install.
    """
    try:
        from authstore.ops.opentelemetry import Telemetry
    except ModuleNotFoundError as error:
        raise missing(error, "otel") from None
    return Telemetry(meter_provider, tracer_provider)
