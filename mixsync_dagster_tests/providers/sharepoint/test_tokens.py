import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, ProviderUnavailable, RateLimited
from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster.testing.graph_simulator import sign_in
from mixsync_dagster.transport.tokens import SHELF
from mixsync_dagster_tests.providers.sharepoint.support import fetch, one, paths


def provider_with(world, *, delegated=False, **credentials):
    config = world.graph.provider_config(delegated=delegated, site_id="root")
    config["credentials"] |= credentials
    world.made.append(from_connection(SharePointConfig.model_validate(config), "/", clock=world.clock))
    return world.made[-1]


def test_a_token_is_fetched_once_for_many_threads(world):
    world.put("a.txt", b"content")
    item = one(world.provider(), "a.txt")
    SHELF.clear()
    provider = world.provider()
    world.graph.forget_requests()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: fetch(provider, item), range(24))) == {b"content"}
    assert (world.graph.count("discovery"), world.graph.count("token")) == (1, 1)


def test_nobody_but_the_configured_addresses_is_asked(world):
    world.provider().check()
    hosts = {request.headers["host"] for request in world.graph.requests}
    assert hosts == {world.graph.url.removeprefix("http://")}
    assert {"discovery", "token"} <= {request.kind for request in world.graph.requests}


def test_a_token_is_renewed_before_it_ends(world):
    provider = world.provider()
    provider.check()
    world.clock.advance(3600 - 301)
    provider.check()
    assert world.graph.sign_in.issued == 1
    world.clock.advance(2)
    provider.check()
    assert world.graph.sign_in.issued == 2


def test_a_short_lived_token_is_not_fetched_for_every_request(world):
    world.graph.sign_in.lifetime_seconds = 60
    provider = world.provider()
    provider.check()
    provider.check()
    assert world.graph.sign_in.issued == 1
    world.clock.advance(31)
    provider.check()
    assert world.graph.sign_in.issued == 2


def test_a_revoked_token_is_replaced_in_the_middle_of_a_listing(world):
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    provider = world.provider()
    pages = provider.list_pages()
    first = next(pages)
    world.graph.sign_in.revoke()
    assert len(paths([first]) + paths(pages)) == 12
    assert world.graph.sign_in.issued == 2


def test_a_token_that_is_refused_again_and_again_is_an_error_after_one_renewal(world):
    provider = world.provider()
    provider.check()
    world.graph.faults.add("delta", status=401, code="InvalidAuthenticationToken", times=None)
    with pytest.raises(AccessDenied, match="tenant of the site"):
        provider.check()
    assert world.graph.sign_in.issued == 2


def test_a_user_s_library_is_read_with_a_refresh_token_and_its_successors(world):
    world.graph.onedrive.put("mine.txt", b"mine")
    world.graph.sign_in.rotated_refresh_token = "a-successor"
    provider = provider_with(world, delegated=True)
    assert paths(world.provider(delegated=True, drive_id=world.graph.onedrive.id).list_pages()) == ["mine.txt"]
    world.graph.sign_in.keeps_old_refresh_token = False
    world.graph.sign_in.revoke()
    with pytest.raises(AccessDenied, match="refresh_token"):
        provider.check()


def test_the_successor_of_a_refresh_token_is_used(world):
    world.graph.sign_in.rotated_refresh_token = "a-successor"
    world.graph.sign_in.keeps_old_refresh_token = False
    provider = provider_with(world, delegated=True)
    provider.check()
    world.graph.sign_in.revoke()
    provider.check()
    assert world.graph.sign_in.issued == 2


def test_threads_whose_token_is_refused_share_one_new_token(world):
    world.put("a.txt", b"content")
    provider = world.provider()
    item = one(provider, "a.txt")
    world.graph.sign_in.revoke()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: fetch(provider, item), range(24))) == {b"content"}
    assert world.graph.sign_in.issued == 2


@pytest.mark.parametrize(
    ("delegated", "credentials", "sentence"),
    [
        (False, {"client_secret": "wrong"}, r"credentials\.client_secret: the secret is not accepted.*AADSTS7000215"),
        (False, {"client_id": "other"}, r"credentials\.client_id: the application does not exist.*AADSTS700016"),
        (False, {"tenant_id": "nowhere"}, r"credentials\.tenant_id: the tenant nowhere does not exist"),
        (True, {"refresh_token": "old"}, r"credentials\.refresh_token: the token is not accepted.*AADSTS70000"),
    ],
)
def test_wrong_credentials_are_named_without_being_shown(world, caplog, delegated, credentials, sentence):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AccessDenied, match=sentence) as caught:
        provider_with(world, delegated=delegated, **credentials).check()
    for secret in (sign_in.CLIENT_SECRET, sign_in.REFRESH_TOKEN, "wrong", "old"):
        assert secret not in str(caught.value)
        assert secret not in caplog.text or secret in {"old", "wrong"}


def test_a_corrected_secret_at_the_service_is_taken_at_once(world, monkeypatch):
    provider = provider_with(world, client_secret="new-secret")
    with pytest.raises(AccessDenied):
        provider.check()
    monkeypatch.setattr(sign_in, "CLIENT_SECRET", "new-secret")
    provider.check()


@pytest.mark.parametrize("kind", ["discovery", "token"])
@pytest.mark.parametrize(
    ("fault", "error", "wait"),
    [
        ({"status": 429, "headers": {"Retry-After": "21"}}, RateLimited, 21),
        ({"status": 503, "headers": {"Retry-After": "3"}}, ProviderUnavailable, 3),
        ({"status": 500}, ProviderUnavailable, None),
    ],
)
def test_a_sign_in_service_in_trouble_is_waited_for_and_asked_again(world, kind, fault, error, wait):
    provider = world.provider()
    world.graph.faults.add(kind, **fault)
    with pytest.raises(error) as caught:
        provider.check()
    assert caught.value.retry_after_seconds == wait
    provider.check()


def test_a_sign_in_service_that_cannot_be_reached_is_an_outage(world):
    config = SharePointConfig.model_validate(
        world.graph.provider_config(site_id="root") | {"authority_host": "http://127.0.0.1:9"}
    )
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9 cannot be reached"):
        from_connection(config, "/").check()


def test_secrets_are_not_posted_to_where_a_discovery_document_points(world):
    elsewhere = {
        "issuer": "https://login.example/x",
        "authorization_endpoint": "https://login.example/x/authorize",
        "token_endpoint": "https://login.example/x/token",
    }
    world.graph.faults.add("discovery", body=json.dumps(elsewhere).encode(), times=None)
    with pytest.raises(ConfigurationError, match="names another host"):
        world.provider().check()
    assert world.graph.count("token") == 0


def test_an_authority_with_a_path_is_refused(world):
    config = world.graph.provider_config(site_id="root") | {"authority_host": "https://login.example/tenant"}
    with pytest.raises(ConfigurationError, match=r"authority_host: .* without a path"):
        from_connection(SharePointConfig.model_validate(config), "/")


def test_a_forbidden_site_says_which_rights_there_are_and_which_are_needed(world):
    world.graph.sign_in.roles = ("User.Read.All", "Mail.Read")
    with pytest.raises(AccessDenied) as caught:
        world.provider().check()
    assert "grant it Sites.Read.All or Files.Read.All" in str(caught.value)
    assert "it has Mail.Read, User.Read.All" in str(caught.value)


def connected(world, connection_id, **credentials):
    config = world.graph.provider_config(site_id="root")
    config["credentials"] |= credentials
    model = SharePointConfig.model_validate(config)
    world.made.append(from_connection(model, "/", clock=world.clock, connection_id=connection_id))
    return world.made[-1]


def test_providers_of_one_connection_sign_in_once(world):
    for _ in range(3):
        provider = connected(world, "conn_1")
        provider.check()
        provider.close()
    assert (world.graph.count("discovery"), world.graph.count("token")) == (1, 1)
    world.graph.sign_in.revoke()
    connected(world, "conn_1").check()
    connected(world, "conn_1").check()
    assert world.graph.count("token") == 2


def test_many_new_providers_at_once_sign_in_once(world):
    providers = [connected(world, "conn_1") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda provider: provider.check(), providers))
    assert world.graph.count("token") == 1


def test_another_connection_or_another_secret_signs_in_itself(world):
    connected(world, "conn_1").check()
    connected(world, "conn_2").check()
    assert world.graph.count("token") == 2
    with pytest.raises(AccessDenied, match="client_secret"):
        connected(world, "conn_1", client_secret="fake-but-wrong").check()
