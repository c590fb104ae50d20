"""What OpenTelemetry is told, by its stable names; the dashboard and the rules find all of it in a real Prometheus."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_OFF, DEFAULT_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from prometheus_client import CollectorRegistry, start_http_server

from authstore import Adapter, EmailTakenError, connect
from authstore.ops import telemetry
from tests.postgres import fresh_database

MONITORING = Path(__file__).parents[2] / "examples" / "monitoring"


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """What was collected, by the metrics' names."""
    data = reader.get_metrics_data()
    metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
    return {metric.name: list(metric.data.data_points) for metric in metrics}


def value(found: dict[str, list[Any]], name: str, **wanted: str) -> Any:
    """The value of the one point that has these attributes, written with `_` for `.`."""
    attributes = {key.replace("_", "."): text for key, text in wanted.items()}
    [point] = [p for p in found[name] if attributes.items() <= dict(p.attributes).items()]
    return point.value


async def used(store: Adapter) -> None:
    """Some of everything."""
    user = await store.create_user(email="ada@example.com")
    session, other = [await store.create_session(user.id) for _ in range(2)]
    for _ in range(3):
        assert await store.get_session_and_user(session.token or "")
    with pytest.raises(EmailTakenError):
        await store.create_user(email="ada@example.com")
    await store.delete_session(session.token or "")
    await store.revoke_session(other.id, reason="lost-phone")
    await store.delete_user(user.id)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'auth.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres_url")) as fresh:
        yield fresh


async def test_the_metrics_have_their_stable_names(url: str) -> None:
    reader, is_file = InMemoryMetricReader(), url.startswith("sqlite")
    watching = telemetry(meter_provider=MeterProvider([reader]))
    async with connect(url, observers=[watching], cache=100 if is_file else 0) as store:
        await used(store)
        found = points(reader)
    queries = {point.attributes["db.query.summary"]: point for point in found["db.client.operation.duration"]}
    looked_up = queries["session_and_user_by_id"]
    assert looked_up.attributes["db.system.name"] == ("sqlite" if is_file else "postgresql")
    assert looked_up.attributes["db.namespace"] == url.rpartition("/")[2]
    assert looked_up.attributes["db.operation.name"] == "SELECT"
    assert looked_up.explicit_bounds[0] == 0.000025
    assert looked_up.count == (1 if is_file else 3)
    assert 0 < looked_up.sum < 5
    assert value(found, "authstore.operations", authstore_operation="get_session_and_user") == 3
    assert value(found, "authstore.operations", error_type="EmailTakenError") == 1
    assert value(found, "authstore.operation.time", authstore_operation="get_session_and_user") > 0
    assert value(found, "authstore.wait.time", authstore_wait_for="thread") > 0
    assert value(found, "authstore.sessions.created") == 2
    assert value(found, "authstore.sessions.ended", authstore_reason="signed-out") == 1
    assert value(found, "authstore.sessions.ended", authstore_reason="lost-phone") == 1
    if is_file:
        assert value(found, "authstore.cache.lookups", authstore_cache_result="hit") == 2
        assert value(found, "authstore.cache.lookups", authstore_cache_result="miss") == 1
    else:
        assert "authstore.cache.lookups" not in found
    assert "ada@example.com" not in str(found)


async def test_each_query_is_a_span_within_its_callers(url: str) -> None:
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    async with connect(url, observers=[telemetry(tracer_provider=provider)]) as store:
        user = await store.create_user(email="ada@example.com")
        kept.clear()
        with provider.get_tracer("application").start_as_current_span("GET /me") as request:
            await store.get_user(user.id)
    spans = {span.name: span for span in kept.get_finished_spans()}
    query, outer = spans["get_user"], spans["GET /me"]
    assert query.kind.name == "CLIENT"
    assert query.attributes is not None
    assert query.attributes["db.query.summary"] == "get_user"
    assert query.attributes["db.response.returned_rows"] == 1
    assert query.parent is not None
    assert query.parent.span_id == request.get_span_context().span_id
    assert outer.start_time - 1e6 <= query.start_time <= query.end_time <= outer.end_time
    assert user.id not in str([span.to_json() for span in spans.values()])


async def test_a_query_in_a_trace_that_is_kept_is_an_example_of_its_duration() -> None:
    reader, provider = InMemoryMetricReader(), TracerProvider()
    watching = telemetry(meter_provider=MeterProvider([reader]), tracer_provider=provider)
    async with connect("sqlite://", observers=[watching]) as store:
        with provider.get_tracer("application").start_as_current_span("GET /me") as request:
            await store.get_user("nobody")
        found = points(reader)["db.client.operation.duration"]
    [point] = [each for each in found if each.attributes["db.query.summary"] == "get_user"]
    assert [each.trace_id for each in point.exemplars] == [request.get_span_context().trace_id]


@pytest.mark.parametrize("times", [1, 15, 16, 100])
async def test_whoever_collects_gets_every_query_and_call_so_far(times: int) -> None:
    reader = InMemoryMetricReader()
    off = TracerProvider(sampler=ALWAYS_OFF)
    watching = telemetry(meter_provider=MeterProvider([reader]), tracer_provider=off)
    async with connect("sqlite://", observers=[watching]) as store:
        for collected in (1, 2):
            for _ in range(times):
                await store.get_user("nobody")
            found = points(reader)
            asked = [p for p in found["db.client.operation.duration"] if p.attributes["db.query.summary"] == "get_user"]
            assert [point.count for point in asked] == [times * collected]
            assert value(found, "authstore.operations", authstore_operation="get_user") == times * collected


@pytest.mark.parametrize(("sampler", "begun"), [(ALWAYS_ON, 1), (DEFAULT_ON, 1), (ALWAYS_OFF, 0), (DEFAULT_OFF, 0)])
async def test_where_no_trace_would_be_kept_none_is_begun(sampler: Sampler, begun: int) -> None:
    kept, provider = InMemorySpanExporter(), TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    async with connect("sqlite://", observers=[telemetry(tracer_provider=provider)]) as store:
        kept.clear()
        await store.get_user("nobody")
        assert len(kept.get_finished_spans()) == begun
        kept.clear()
        around = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        with use_span(NonRecordingSpan(around)):
            await store.get_user("nobody")
    assert len(kept.get_finished_spans()) == int(sampler is not ALWAYS_OFF)


async def test_reasons_without_end_are_counted_together() -> None:
    reader = InMemoryMetricReader()
    async with connect("sqlite://", observers=[telemetry(meter_provider=MeterProvider([reader]))]) as store:
        user = await store.create_user()
        for number in range(60):
            session = await store.create_session(user.id)
            await store.revoke_session(session.id, reason=f"ticket-{number}")
        found = points(reader)
    assert len(found["authstore.sessions.ended"]) == 51
    assert value(found, "authstore.sessions.ended", authstore_reason="other") == 10


@pytest.mark.processes
def test_without_its_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from authstore import ops\n"
        "try: ops.telemetry()\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'authstore[otel]'" in done.stdout


def program(name: str) -> str:
    """Debian's, in the path or where the Makefile puts it."""
    here = Path(sys.prefix) / "prometheus" / "usr" / "bin" / name
    found = shutil.which(name) or (str(here) if here.exists() else None)
    assert found, f"there is no {name}: make prometheus"
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """A Prometheus with the rules, which asks the target four times a second."""
    rules = folder / "rules.yml"
    shutil.copy(MONITORING / "prometheus-rules.yml", rules)
    every = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    scraped = [{"job_name": "store", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": every, "rule_files": [str(rules)], "scrape_configs": scraped}))
    address = f"127.0.0.1:{free_port()}"
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program("prometheus"), *options], stdout=log, stderr=log)
    try:
        yield f"http://{address}/api/v1/"
    finally:
        process.terminate()
        process.wait(timeout=20)


def asked(api: str, path: str, **parameters: str) -> Any:
    with urlopen(f"{api}{path}?{urlencode(parameters)}", timeout=10) as answer:
        return json.load(answer)["data"]


def lacking(api: str, expressions: set[str]) -> set[str]:
    """Those that find nothing yet."""
    try:
        return {each for each in expressions if not asked(api, "query", query=each)["result"]}
    except OSError:  # it is starting
        return expressions


def dashboard_expressions() -> set[str]:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    given = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert len(given) >= 10
    return {each.replace("$__rate_interval", "10s").replace("$namespace", ".*") for each in given}


def named_metrics() -> set[str]:
    """Every metric that the dashboard or the rules name."""
    texts = [(MONITORING / name).read_text() for name in ("grafana-dashboard.json", "prometheus-rules.yml")]
    return {name for text in texts for name in re.findall(r"\b(?:db|authstore)_\w+(?=[{[,) ])", text)} - {
        f"{group}_{name}"
        for group, names in {
            "db": ("namespace", "query_summary"),
            "authstore": ("operation", "wait_for", "reason", "cache_result"),
        }.items()
        for name in names
    }


@pytest.mark.processes
def test_the_rules_are_ones() -> None:
    rules = MONITORING / "prometheus-rules.yml"
    done = subprocess.run([program("promtool"), "check", "rules", rules], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.processes
async def test_dashboard_and_rules_find_what_they_ask_for(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)])
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        with prometheus(tmp_path, server.server_port) as api:
            watching = telemetry(meter_provider=provider)
            async with connect(tmp_path / "auth.db", cache=100, observers=[watching]) as store:
                expressions, ends = dashboard_expressions(), time.monotonic() + 60
                while missing := await asyncio.to_thread(lacking, api, expressions):
                    assert time.monotonic() < ends, missing
                    await used(store)
            there = set(asked(api, "label/__name__/values"))
            rules = [rule for group in asked(api, "rules")["groups"] for rule in group["rules"]]
        assert len(named_metrics()) >= 8
        assert named_metrics() <= there
        assert len(rules) == 8
        assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        provider.shutdown()
