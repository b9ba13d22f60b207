"""Tokens: of a service account, for somebody, of a consent; renewed in the middle of things; refused in words."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, MixsyncError, ProviderUnavailable, RateLimited
from mixsync_dagster.testing.contracts.provider import fetch
from mixsync_dagster.testing.drive_simulator.sign_in import private_key_pem
from mixsync_dagster.transport.redact import summary
from mixsync_dagster_tests.providers.google_drive.conftest import items, paths


def test_one_token_serves_everything(server, world):
    for number in range(12):
        world.put(f"in/{number}.txt", b"x")
    provider = world.provider("in")
    found = items(provider)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda item: fetch(provider, item), found.values()))
    assert server.count("token") == 1
    assert server.sign_in.subjects == [None]


def test_making_a_provider_sends_nothing(server, world):
    world.provider("in").close()
    assert server.requests == []


def test_a_service_account_acts_for_a_user(server, world):
    server.sign_in.users.add("ann@example.com")
    world.put("a.txt", b"x")
    assert paths(world.provider(impersonate_user="ann@example.com")) == ["a.txt"]
    assert server.sign_in.subjects == ["ann@example.com"]


def test_a_consent_serves_as_well(server, world):
    world.put("a.txt", b"x")
    assert paths(world.provider(account=server.consent())) == ["a.txt"]


def test_a_token_that_is_over_is_renewed_before_it_is_used(server, world):
    world.put("a.txt", b"x")
    provider = world.provider()
    assert paths(provider) == ["a.txt"]
    world.clock.advance(3600 - 301)
    assert paths(provider) == ["a.txt"]
    assert server.count("token") == 1
    world.clock.advance(2)
    assert paths(provider) == ["a.txt"]
    assert server.count("token") == 2
    assert "authError" not in str(server.requests)


def test_a_token_revoked_in_the_middle_of_a_listing_is_renewed(server, whole_world):
    for number in range(12):
        whole_world.put(f"in/{number:02}.txt", b"x")
    pages = whole_world.provider("in").list_pages()
    found = next(pages).items.column("path").to_pylist()
    server.sign_in.revoke()
    found += [path for page in pages for path in page.items.column("path").to_pylist()]
    assert sorted(found) == [f"in/{number:02}.txt" for number in range(12)]
    assert server.count("token") == 2


def test_many_threads_with_a_revoked_token_ask_for_one_new_one(server, world):
    for number in range(8):
        world.put(f"in/{number}.txt", b"x")
    provider = world.provider("in")
    found = list(items(provider).values())
    server.sign_in.revoke()
    barrier = threading.Barrier(8)

    def read(item):
        barrier.wait()
        return fetch(provider, item)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, found)) == [b"x"] * 8
    assert server.count("token") == 2


def test_a_token_that_stays_bad_is_no_reason_to_go_on(server, world):
    server.fail("files.get", status=401, reason="authError", times=2)
    with pytest.raises(AccessDenied, match="not even a fresh one"):
        paths(world.provider())
    assert server.count("files.get") == 2


@pytest.mark.parametrize(
    ("fault", "error", "wait"),
    [
        ({"status": 429, "retry_after": "7"}, RateLimited, 7),
        ({"status": 503, "retry_after": "9"}, ProviderUnavailable, 9),
        ({"status": 500}, ProviderUnavailable, None),
        ({"empty": True}, ProviderUnavailable, None),
        ({"reset": True}, ProviderUnavailable, None),
    ],
)
def test_an_outage_of_the_sign_in_is_told_at_once(server, world, fault, error, wait):
    server.fail("token", **fault)
    with pytest.raises(error) as caught:
        paths(world.provider())
    assert caught.value.retry_after_seconds == wait
    assert server.count("token") == 1


def test_providers_of_one_connection_sign_in_once(server, world):
    world.put("a.txt", b"x")
    for _ in range(3):
        provider = world.provider(connection_id="conn_1")
        assert paths(provider) == ["a.txt"]
        provider.close()
    assert server.count("token") == 1
    server.sign_in.revoke()
    assert [paths(world.provider(connection_id="conn_1")) for _ in range(2)] == [["a.txt"]] * 2
    assert server.count("token") == 2


def test_another_connection_user_or_account_signs_in_itself(server, world):
    server.sign_in.users.add("ann@example.com")
    world.put("a.txt", b"x")
    paths(world.provider(connection_id="conn_1"))
    paths(world.provider(connection_id="conn_2"))
    paths(world.provider(connection_id="conn_1", impersonate_user="ann@example.com"))
    paths(world.provider(connection_id="conn_1", account=server.consent()))
    assert server.count("token") == 4


def sentence(provider):
    with pytest.raises(AccessDenied) as caught:
        provider.check()
    return str(caught.value)


def test_a_user_that_the_account_may_not_act_for(world):
    said = sentence(world.provider(impersonate_user="bob@example.com"))
    assert said.startswith("impersonate_user: the service account may not act for bob@example.com;")
    assert "domain-wide delegation for https://www.googleapis.com/auth/drive.readonly" in said


def test_a_key_that_was_deleted(server, world):
    server.sign_in.key_valid = False
    assert sentence(world.provider()).startswith("credentials.private_key: Google does not accept the key of mixsync@")
    server.sign_in.users.add("ann@example.com")
    assert "gives no token for ann@example.com" in sentence(world.provider(impersonate_user="ann@example.com"))


def test_a_consent_that_was_taken_back(server, world):
    server.sign_in.consent_valid = False
    said = sentence(world.provider(account=server.consent()))
    assert said == ("credentials.refresh_token: it has expired or was revoked; give the consent again (invalid_grant).")


def test_a_client_that_google_does_not_know(server, world):
    said = sentence(world.provider(account={**server.consent(), "client_secret": "fake-other"}))
    assert said.startswith("credentials.client_secret: Google does not know this OAuth client")


def test_a_key_that_is_none(server, world):
    account = {**server.service_account(), "private_key": "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----"}
    with pytest.raises(ConfigurationError, match=r"credentials\.private_key: the key cannot be read"):
        world.provider(account=account)


def test_nothing_that_is_said_or_shown_holds_a_secret(server, world):
    key_line = private_key_pem().splitlines()[3]
    account = {**server.consent(), "client_secret": "CANARY-1", "refresh_token": "CANARY-2"}
    said = [sentence(world.provider(account=account))]
    provider = world.provider()
    for operation, fault in (("files.get", {"status": 403, "reason": "domainPolicy"}), ("token", {"status": 400})):
        server.sign_in.revoke()
        server.fail(operation, **fault)
        try:
            world.provider().check()
        except MixsyncError as error:
            said += [str(error), repr(error), summary(error), str(error.__context__), str(error.__cause__)]
    said += [repr(one._settings) for one in world.opened] + [repr(provider)]
    assert not any(secret in text for text in said for secret in ("CANARY", key_line, "ya29"))
