"""How many requests a key may make."""

import pytest

from mixsync_dagster.api.failures import ApiError
from mixsync_dagster.api.throttling import RateLimit
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import Client, make_key, serving


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def narrow(tmp_path, clock):
    """Services that let a key make three requests a minute."""
    home = tmp_path / "home"
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}", api_requests_per_minute=3)
    Services.init(settings)
    with Services.open(settings, clock=clock) as opened:
        yield opened


def passes(limit, key="sk_a"):
    """How many requests pass at once."""
    for number in range(10_000):
        try:
            limit.count(key)
        except ApiError:
            return number
    return None


def test_a_key_that_asks_too_much_is_told_when_to_come_back(narrow, clock):
    with serving(narrow) as url:
        ask, other = (Client(url, make_key(narrow, "alpha", role)) for role in ("admin", "viewer"))
        assert [ask("POST", "/v1/buckets/list").status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = ask("POST", "/v1/buckets/list")
        told = refused.json()
        assert (refused.headers["Retry-After"], told["error"]["code"], told["status"]) == ("20", "rate_limited", 429)
        assert told["error"]["type"] == "TooManyRequestsError"
        assert told["error"]["details"] == {"retry_after_seconds": 20, "retryable": True, "api_name": "mixsync"}
        assert other("POST", "/v1/buckets/list").status_code == 200
        assert ask("GET", "/metrics").status_code == 200
        assert [Client(url)("GET", path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        clock.advance(20)
        assert [ask("POST", "/v1/buckets/list").status_code for _ in range(2)] == [200, 429]


def test_bad_keys_are_not_counted_but_refused(narrow):
    with serving(narrow) as url:
        make_key(narrow, "alpha")
        assert {Client(url, "sk_wrong")("POST", "/v1/buckets/list").status_code for _ in range(5)} == {401}


@pytest.mark.parametrize("per_minute", [1, 7, 60, 6000])
def test_a_minutes_requests_pass_at_once_and_then_at_an_even_pace(clock, per_minute):
    limit = RateLimit(per_minute, clock)
    assert passes(limit) == per_minute
    clock.advance(60 / per_minute)
    assert passes(limit) == 1
    clock.advance(3600)
    assert passes(limit) == per_minute


def test_refused_requests_cost_nothing(clock):
    limit = RateLimit(2, clock)
    assert [passes(limit) for _ in range(5)] == [2, 0, 0, 0, 0]
    clock.advance(30)
    assert passes(limit) == 1


def test_zero_sets_no_limit(clock):
    assert passes(RateLimit(0, clock)) is None
