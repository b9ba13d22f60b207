"""What Drive refuses becomes an error by its reason, not by its status; and check says what is missing."""

from datetime import UTC, datetime

import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, ProviderUnavailable, RateLimited
from mixsync_dagster.providers.google_drive.errors import Refusal, item_error, refusal_of, request_error
from mixsync_dagster_tests.providers.google_drive.conftest import paths

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"status": 403, "reason": "accessNotConfigured"}, AccessDenied, "Drive API is not enabled"),
        ({"status": 403, "reason": "SERVICE_DISABLED"}, AccessDenied, "Drive API is not enabled"),
        (
            {"status": 403, "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"},
            AccessDenied,
            r"lacks the scope drive\.readonly",
        ),
        ({"status": 403, "reason": "insufficientPermissions"}, AccessDenied, r"lacks the scope drive\.readonly"),
        ({"status": 403, "reason": "domainPolicy"}, AccessDenied, "administrators do not let mixsync@"),
        ({"status": 403, "reason": "forbidden"}, AccessDenied, "role Viewer"),
        ({"status": 400, "reason": "badRequest"}, ConfigurationError, "does not accept the request"),
        ({"status": 403, "reason": "userRateLimitExceeded"}, RateLimited, "slow down"),
        ({"status": 403, "reason": "rateLimitExceeded"}, RateLimited, "slow down"),
        ({"status": 429, "reason": "rateLimitExceeded"}, RateLimited, "slow down"),
        ({"status": 500, "reason": "internalError"}, ProviderUnavailable, "failed to answer"),
        ({"status": 503, "reason": "backendError"}, ProviderUnavailable, "failed to answer"),
        ({"empty": True}, ProviderUnavailable, "no JSON"),
        ({"cut": 10}, ProviderUnavailable, "inside an answer|broke"),
        ({"flip": True}, ProviderUnavailable, "unpacked|JSON"),
        ({"reset": True}, ProviderUnavailable, "does not answer"),
    ],
)
def test_check_says_what_is_wrong(server, world, fault, error, words):
    world.put("in/a.txt", b"x")
    server.fail("files.list", **fault)
    with pytest.raises(error, match=words) as caught:
        world.provider("in").check()
    assert "\n" not in str(caught.value)
    world.provider("in").check()


@pytest.mark.parametrize("operation", ["files.get", "files.list", "changes.start"])
def test_an_outage_anywhere_is_an_outage(server, world, operation):
    world.put("in/a.txt", b"x")
    server.fail(operation, status=503, reason="backendError", retry_after="3")
    with pytest.raises(ProviderUnavailable) as caught:
        world.provider("in").head()
    assert caught.value.retry_after_seconds == 3


def test_a_refusal_of_one_folder_is_not_taken_for_an_outage_nor_the_other_way_round(server, world):
    folder = world.folder("in")
    server.fail("files.get", status=403, reason="userRateLimitExceeded", retry_after="5")
    with pytest.raises(RateLimited):
        world.provider(folder).check()
    server.fail("files.get", status=403, reason="accessNotConfigured")
    with pytest.raises(AccessDenied, match="not enabled"):
        world.provider(folder).check()
    server.fail("files.get", status=403, reason="insufficientFilePermissions")
    with pytest.raises(ConfigurationError, match="is not shared with"):
        world.provider(folder).check()


def test_a_listing_goes_on_behind_a_page_that_failed(server, whole_world):
    for number in range(12):
        whole_world.put(f"in/{number:02}.txt", b"x")
    provider = whole_world.provider("in")
    server.fail("files.list", status=500, reason="backendError", after=3)
    pages = provider.list_pages()
    first = next(pages)
    with pytest.raises(ProviderUnavailable):
        next(pages)
    found = first.items.column("path").to_pylist()
    assert found
    assert sorted(found + paths(provider, first.cursor)) == [f"in/{number:02}.txt" for number in range(12)]


def test_a_quota_of_the_day_is_waited_for_until_the_next_one():
    for reason in ("dailyLimitExceeded", "dailyLimitExceededUnreg"):
        error = request_error(Refusal(403, reason), who="w", now=NOW)
        assert isinstance(error, RateLimited)
        assert error.retry_after_seconds == 22 * 3600
    early = NOW.replace(hour=7)
    assert item_error(Refusal(403, "dailyLimitExceeded"), path="p", who="w", now=early).retry_after_seconds == 3600


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"error": "text"}', b'{"error": {"errors": [1]}}', b'{"error": {"errors": []}}', b"\xff"],
)
def test_a_refusal_without_a_readable_body_is_still_one(body):
    refusal = refusal_of(403, {"Retry-After": "4"}, body)
    assert (refusal.status, refusal.code, refusal.retry_after) == (403, "", "4")


def test_what_a_refusal_says_gets_into_no_message_but_its_word():
    first = b'{"reason": "see https://x/?key=CANARY", "location": "CANARY \\n"}'
    body = b'{"error": {"errors": [' + first + b'], "message": "CANARY"}}'
    refusal = refusal_of(403, {}, body)
    assert "CANARY" not in str(request_error(refusal, who="w", now=NOW)) + str(refusal)


def test_files_that_google_does_not_hand_out_are_told_apart_from_drive_refusing_all(server, world):
    shared = world.folder("in")
    target = world.put("elsewhere/a.txt", b"x")
    server.files.add_shortcut("link", shared, target)
    # The first question is for the root of My Drive, the second for what the shortcut leads to.
    server.fail("files.get", status=403, reason="userRateLimitExceeded", after=1)
    with pytest.raises(RateLimited):
        list(world.provider("in").list_pages())
