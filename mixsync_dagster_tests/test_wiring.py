import subprocess
import sys
from pathlib import Path

import pytest

from mixsync_dagster import wiring
from mixsync_dagster.errors import ConfigurationError, InvalidInput, NotFound, ProviderUnavailable, RateLimited
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.provider_configs import ProviderType, SnowflakeSettings
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import PROVIDERS, Services, offered
from mixsync_dagster_tests.control.support import MEDIA, VARIABLES, applied


@pytest.fixture
def settings(tmp_path):
    home = tmp_path / "home"
    return Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}")


@pytest.fixture
def services(settings, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    Services.init(settings)
    with Services.open(settings) as opened:
        applied(opened)
        yield opened


def test_before_init_one_sentence_says_what_to_do(settings):
    with pytest.raises(ConfigurationError) as refused:
        Services.open(settings)
    assert str(refused.value) == (
        f"there is no mixsync home at {settings.home}; run `mixsync init`, or set MIXSYNC_HOME."
    )


def test_a_store_without_tables_is_told(settings):
    Services.init(settings)
    (settings.home / "state.db").unlink()
    with pytest.raises(ConfigurationError, match="run `mixsync init`"):
        Services.open(settings)


def test_init_makes_what_only_its_owner_may_read_and_repeats_change_nothing(settings):
    Services.init(settings)
    key = settings.key_file.read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (settings.home, settings.key_file)] == [0o700, 0o600]
    Services.init(settings)
    assert settings.key_file.read_bytes() == key


def test_two_processes_may_init_at_once(settings):
    code = (
        "import pathlib, sys\n"
        "from mixsync_dagster.settings import Settings\n"
        "from mixsync_dagster.wiring import Services\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "Services.init(Settings(home=home, database_url=f'sqlite:///{home}/state.db'))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(settings.home)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    Services.open(settings).close()


def test_a_key_that_others_can_read_is_refused(settings):
    Services.init(settings)
    settings.key_file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Services.open(settings)


def test_a_home_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    with pytest.raises(ConfigurationError, match=r"MIXSYNC_HOME: the folder .* cannot be made"):
        Services.init(Settings(home=home, database_url=f"sqlite:///{home}/state.db"))


def test_tools_fit_the_sync_and_the_settings(services):
    tools = services.tools_for(services.store.get_sync("videos"))
    assert (tools.provider_name, tools.store, tools.clock) == ("s3", services.store, services.clock)
    assert (tools.limits.lease_seconds, tools.limits.removal_guard_percent) == (60.0, 20.0)
    tools.close()


def test_removals_are_approved_by_lifting_the_guard(services):
    tools = services.tools_for(services.store.get_sync("videos"), approve_removals=True)
    assert tools.limits.removal_guard_percent == 100.0
    tools.close()


def test_the_settings_bound_the_transfers(settings, services):
    narrow = Services(
        Settings(home=settings.home, database_url=settings.database_url, lease_seconds=9.0, sync_concurrency=3),
        services.store,
        services.clock,
    )
    tools = narrow.tools_for(services.store.get_sync("videos"))
    assert (tools.limits.lease_seconds, tools.limits.concurrency) == (9.0, 3)
    tools.close()


def test_a_probe_of_a_storage_that_is_gone_does_not_wait(services):
    with pytest.raises(ProviderUnavailable):
        services.probe(services.store.get_sync("videos"), 5.0)


def test_references_are_resolved_when_a_connection_is_used(services, monkeypatch):
    monkeypatch.setenv("MEDIA_SECRET", "rotated-secret")
    config = services.connection_config(services.store.get_connection("media-s3"))
    assert config.credentials.secret_access_key.get_secret_value() == "rotated-secret"


def test_a_provider_without_an_adapter_is_told_with_those_there_are(services, monkeypatch):
    monkeypatch.setattr(wiring, "PROVIDERS", {one: PROVIDERS[one] for one in (ProviderType.S3, ProviderType.TIGRIS)})
    now = services.clock.now()
    connection = StorageConnection(
        connection_id="conn_flake",
        internal_id="int_local",
        name="flake",
        provider_type=ProviderType.SNOWFLAKE,
        provider_config=SnowflakeSettings(account="a", warehouse="w"),
        credentials_type="username_password",
        created_at=now,
        updated_at=now,
        created_by_user_id="usr_a",
    )
    services.store.save_connection(
        connection, credentials={"type": "username_password", "username": "u", "password": "p"}
    )
    with pytest.raises(ConfigurationError) as refused:
        services.provider_for("flake", "A.B.C")
    assert (
        str(refused.value)
        == "connection flake: the provider snowflake is not offered yet; the providers are s3, tigris."
    )


def test_a_provider_whose_library_is_not_installed_says_how_to_get_it(services, monkeypatch):
    monkeypatch.setattr(wiring, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError) as refused:
        wiring._factory_of(ProviderType.SNOWFLAKE)
    assert str(refused.value) == (
        "the provider snowflake needs the library snowflake.connector, which is not installed; "
        "install it by `pip install 'mixsync-dagster[snowflake]'`."
    )
    assert callable(wiring._factory_of(ProviderType.S3).from_connection)


def test_a_suspended_connection_is_not_used(services):
    connection = services.store.get_connection("media-s3")
    suspended = connection.model_copy(update={"status": TaskStatus.SUSPENDED})
    services.store.save_connection(suspended, credentials=None)
    with pytest.raises(ConfigurationError, match="connection media-s3 is SUSPENDED and may not be used"):
        services.provider_for("media-s3", "media/videos")


def test_unknown_names_are_told(services):
    with pytest.raises(NotFound):
        services.provider_for("absent", "media")
    with pytest.raises(NotFound):
        services.bucket_for("absent")
    with pytest.raises(InvalidInput):
        services.provider_for("media-s3", "UPPER")


def test_every_offered_provider_has_a_factory():
    from importlib import import_module

    for module in PROVIDERS.values():
        assert callable(import_module(module).from_connection)
    assert offered().providers == frozenset(PROVIDERS)


def test_providers_are_imported_at_their_first_use():
    code = (
        "import sys, mixsync_dagster.wiring\n"
        "print([name for name in ('boto3', 'botocore', 'obstore', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


TWO_CONNECTIONS = (
    MEDIA.replace("buckets:", MEDIA.split("media-s3:")[1].split("buckets:")[0].join(["  other-s3:", "buckets:"]))
    + """\
  photos: {bucket_id: bkt_media, connection_id: media-s3, source_path: media/photos}
  elsewhere: {bucket_id: bkt_media, connection_id: other-s3, source_path: media/videos}
"""
)
"""Two syncs of one connection and one of another."""


def refuse(pacer, seconds):
    def refused():
        raise RateLimited("slow down.", retry_after_seconds=seconds)

    with pytest.raises(RateLimited):
        pacer.call(refused)


def test_a_worker_waits_because_another_one_of_its_connection_was_refused(services, settings):
    applied(services, TWO_CONNECTIONS)
    clock = SimulatedClock()
    with Services.open(settings, clock=clock) as first, Services.open(settings, clock=clock) as second:

        def pacer(process, sync, **options):
            tools = process.tools_for(process.store.get_sync(sync), **options)
            tools.close()
            return tools.pacer

        at_work, elsewhere = pacer(second, "photos"), pacer(second, "elsewhere")
        assert [at_work.call(clock.monotonic), elsewhere.call(clock.monotonic)] == [0, 0]
        refuse(pacer(first, "videos", patient=False), 40)
        clock.advance(1)
        assert elsewhere.call(clock.monotonic) == 1
        assert pacer(second, "elsewhere").call(clock.monotonic) == 1
        with pytest.raises(RateLimited, match="39 seconds of it are left"):
            pacer(second, "photos", patient=False).call(clock.monotonic)
        assert clock.slept == []
        assert 40 <= at_work.call(clock.monotonic) <= 41
        assert pacer(second, "photos").call(clock.monotonic) <= 41


_REFUSED = """
import pathlib, sys
from mixsync_dagster.errors import RateLimited
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
home = pathlib.Path(sys.argv[1])
def refused():
    raise RateLimited("slow down.", retry_after_seconds=600)
with Services.open(Settings(home=home, database_url=f"sqlite:///{home}/state.db")) as services:
    tools = services.tools_for(services.store.get_sync("videos"), patient=False)
    try:
        tools.pacer.call(refused)
    except RateLimited:
        print("refused")
"""


def test_a_process_that_was_refused_holds_back_another_process(services, settings):
    applied(services, TWO_CONNECTIONS)
    pacers = {}
    for name in ("photos", "elsewhere"):
        tools = services.tools_for(services.store.get_sync(name), patient=False)
        pacers[name] = tools.pacer
        tools.close()
    command = [sys.executable, "-c", _REFUSED, str(settings.home)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert told.stdout == "refused\n"
    with pytest.raises(RateLimited) as held_back:
        pacers["photos"].call(lambda: "asked")
    assert 500 < held_back.value.retry_after_seconds <= 600
    assert pacers["elsewhere"].call(lambda: "asked") == "asked"


def test_urls_in_rows_are_fetched_only_where_hosts_are_listed_and_discreetly_for_strangers(tmp_path):
    home = {"MIXSYNC_HOME": str(tmp_path / "home")}
    Services.init(Settings.load(home))
    with Services.open(Settings.load(home)) as services:
        assert services._fetcher("int_other") is None
    given = {"MIXSYNC_FETCH_HOSTS": "*", "MIXSYNC_ALLOWED_ADDRESSES": "10.0.0.0/8", "MIXSYNC_FETCH_BYTES": "7"}
    with Services.open(Settings.load(home | given)) as services:
        rules = {name: services._fetcher(name)._rules for name in (LOCAL_NAMESPACE.internal_id, "int_other")}
    assert [one.addresses.discreet for one in rules.values()] == [False, True]
    for one in rules.values():
        assert (one.most_bytes, one.most_seconds) == (7, 300.0)
        assert one.addresses.refusal("10.0.0.1") is None
        assert one.addresses.refusal("127.0.0.1") == "loopback"
