from datetime import UTC, datetime

import pytest

from mixsync_dagster.errors import ProviderUnavailable, RateLimited
from mixsync_dagster.transport.answers import Refusal, error_body, patience_error, sign_in_error
from mixsync_dagster.transport.http import HttpPool, HttpSettings
from mixsync_dagster_tests.support.s3_servers import Reply, lying_server  # noqa: F401 - a fixture is found by being here

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("throttled", "failed", "error", "sentence"),
    [
        (True, True, RateLimited, "The service asks to slow down (status 503 SlowDown)."),
        (False, True, ProviderUnavailable, "The service failed to answer (status 503 SlowDown)."),
    ],
)
def test_patience_is_asked_for_in_the_service_s_words(throttled, failed, error, sentence):
    refusal = Refusal(503, "SlowDown", "7")
    made = patience_error(refusal, who="The service", now=NOW, throttled=throttled, failed=failed)
    assert (type(made), str(made), made.retry_after_seconds) == (error, sentence, 7)


def test_other_refusals_are_not_waited_for():
    assert patience_error(Refusal(404), who="The service", now=NOW, throttled=False, failed=False) is None


@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (400, None), (429, RateLimited), (500, ProviderUnavailable)]
)
def test_a_sign_in_service_that_does_not_serve_is_told(status, error):
    made = sign_in_error(status, "5", who="The sign-in", now=NOW)
    assert error is None if made is None else (type(made), made.retry_after_seconds) == (error, 5)


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (Reply(403, b"<Error/>"), b"<Error/>"),
        (Reply(403, b""), b""),
        (Reply(403, b"cut", announce=50), b""),
        (Reply(403, bytes(200_000)), None),
    ],
)
def test_the_body_of_a_refusal_is_read_as_far_as_it_matters(lying_server, reply, body):  # noqa: F811 - the fixture
    lying_server.answer = lambda _: reply
    host, _, port = lying_server.endpoint_url.removeprefix("http://").partition(":")
    pool = HttpPool(HttpSettings("http", host, int(port)))
    found = error_body(pool.send("GET", "/", {}))
    assert found == body if body is not None else 64 * 1024 <= len(found) < 200_000
    pool.close()
