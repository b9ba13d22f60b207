"""Spans of requests and runs, as an exporter gets them."""

from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from mixsync_dagster import telemetry
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.ports.spans import SilentSpans
from mixsync_dagster.settings import Settings
from mixsync_dagster.transport.spans import OtelSpans
from mixsync_dagster_tests.api.conftest import source  # noqa: F401 - fixtures are found by being here
from mixsync_dagster_tests.api.serving import SECRET, Client, make_library, opened_home, serving

STAGES = {"list_items", "filter_items", "plan_changes", "map_schema", "create_objects", "submit_batches", "finish_run"}


@pytest.fixture
def exported():
    return InMemorySpanExporter()


@pytest.fixture
def spans(exported):
    return OtelSpans.to_exporter(exported)


@pytest.fixture
def traced(tmp_path, spans, monkeypatch):
    """Services whose spans are kept."""
    monkeypatch.setattr(OtelSpans, "to_collector", lambda url: spans)
    with opened_home(tmp_path) as services:
        # A collector of its own for every test: there is one for each in a process.
        services.settings = replace(services.settings, traces_url=f"http://127.0.0.1:9/{tmp_path.name}")
        yield services


def named(exported):
    return {span.name: span for span in exported.get_finished_spans()}


def test_requests_and_runs_are_told_without_a_secret(traced, exported, source):  # noqa: F811 - the fixture
    with serving(traced) as url:
        ask = Client(url)
        library = make_library(traced, ask, source.endpoint_url)
        ask("GET", "/v1/connections/media?namespace=ns_unknown-secret-word")
        ask("GET", "/secret-path")
    told = named(exported)
    made = told["POST /v1/buckets/{bucket_id}/syncs"]
    assert made.attributes["http.response.status_code"] == 200
    assert made.attributes["http.route"] == "/v1/buckets/{bucket_id}/syncs"
    assert made.attributes["mixsync.request_id"].startswith("req_")
    assert told["GET /v1/connections/{connection_identifier}"].attributes["http.response.status_code"] == 403
    assert told["GET"].attributes["http.response.status_code"] == 404
    run = told["mixsync.run"]
    assert dict(run.attributes) == {
        "mixsync.sync_config_id": library.sync_id,
        "mixsync.sync_run_id": library.run_id,
    }
    stages = {name.removeprefix("mixsync."): span for name, span in told.items() if name.startswith("mixsync.")}
    assert set(stages) == {*STAGES, "run"}
    assert {span.context.trace_id for span in stages.values()} == {run.context.trace_id}
    assert stages["create_objects"].parent.span_id == run.context.span_id
    everything = "".join(span.to_json() for span in exported.get_finished_spans())
    for secret in (SECRET, "AKIADEMO", "secret-path", "secret-word", "films/a.txt"):
        assert secret not in everything


def test_spans_of_one_run_find_each_other_from_several_processes(spans, exported):
    for name in ("first", "second"):
        with spans.span(name, {}, run="run_1"):
            pass
    with spans.span("other", {}, run="run_2"):
        pass
    told = named(exported)
    assert told["first"].context.trace_id == told["second"].context.trace_id != told["other"].context.trace_id
    assert told["first"].parent == told["second"].parent


def test_a_request_belongs_to_what_its_caller_does(spans, exported):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for header in (parent, "nonsense", ""):
        with spans.span(header or "none", {}, traceparent=header):
            pass
    told = named(exported)
    assert f"{told[parent].context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{told[parent].parent.span_id:016x}" == "b7ad6b7169203331"
    assert told["nonsense"].parent is None
    assert told["none"].parent is None


def test_an_error_is_told_by_its_class_alone(spans, exported):
    with pytest.raises(ValueError, match="sk_secret"), spans.span("failing", {}):
        raise ValueError("sk_secret")
    [told] = exported.get_finished_spans()
    assert (told.status.status_code, told.status.description, told.events) == (StatusCode.ERROR, "ValueError", ())


def test_what_is_done_beside_a_generator_is_no_part_of_its_span(spans, exported):
    def numbers():
        with spans.span("listing", {}, around=False):
            yield from range(2)

    for number in numbers():
        with spans.span(f"work {number}", {}):
            pass
    told = named(exported)
    assert told["work 0"].parent is None
    assert told["listing"].status.status_code is StatusCode.UNSET


def test_nothing_is_told_without_a_collector(tmp_path):
    settings = Settings(home=tmp_path, database_url="sqlite:///x")
    assert isinstance(telemetry.spans_for(settings), SilentSpans)


def test_a_missing_library_is_told(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path, database_url="sqlite:///x", traces_url="http://127.0.0.1:4318/v1/traces")
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"mixsync-dagster\[traces\]"):
        telemetry.spans_for(settings)
