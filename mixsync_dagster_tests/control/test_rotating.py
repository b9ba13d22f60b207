"""Exchanging the secret key: nothing is lost wherever it is interrupted, and nothing keeps an old seal."""

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mixsync_dagster.control.rotating import rotate
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.home import rotate_secret
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.contracts.state_samples import CREDENTIALS, connection
from mixsync_dagster.wiring import Services

COUNT = 12
PLANNED = {f"conn_{number:02}": {**CREDENTIALS, "secret_access_key": f"secret-{number}"} for number in range(COUNT)}
HOSTED = {"bucket_id": "b", "destination": "mixpeek", "mixpeek": {"namespace": "n", "api_key": "sk_hosted"}}


def stocked(services):
    for connection_id, credentials in PLANNED.items():
        services.store.save_connection(connection(connection_id, connection_id), credentials=credentials)
    services.store.save_bucket(BucketDefinition.model_validate(HOSTED))


def contents(services):
    known = {one: dict(services.store.credentials_of(one)) for one in PLANNED}
    assert services.store.get_bucket("b").mixpeek.api_key.get_secret_value() == "sk_hosted"
    return known


def keys_in(home):
    return (home / "secret.key").read_text().split()


def test_everything_is_sealed_with_a_new_key_and_the_old_one_is_gone(services):
    stocked(services)
    [before] = keys_in(services.settings.home)
    done = rotate_secret(services.store, services.settings)
    # The connections, the hosted bucket, and the secret of the API keys.
    assert (done.resealed, done.unreadable, done.finished) == (COUNT + 2, {}, True)
    [after] = keys_in(services.settings.home)
    assert after != before
    assert contents(services) == PLANNED
    assert (services.settings.home / "secret.key").stat().st_mode & 0o777 == 0o600
    with Services.open(services.settings) as others:
        assert contents(others) == PLANNED
    (services.settings.home / "secret.key").write_text(before)
    with Services.open(services.settings) as late, pytest.raises(ConfigurationError, match="another key"):
        late.store.credentials_of("conn_00")


def test_api_keys_outlive_the_key(services):
    _, token = services.open_keys().create(namespace="media")
    rotate_secret(services.store, services.settings)
    assert services.open_keys().authenticate(token.encode()) is not None
    with Services.open(services.settings) as others:
        assert others.open_keys().authenticate(token.encode()) is not None


def test_a_process_that_runs_meanwhile_goes_on(services):
    stocked(services)
    with Services.open(services.settings) as running:
        assert running.store.credentials_of("conn_00") == PLANNED["conn_00"]
        rotate_secret(services.store, services.settings)
        assert contents(running) == PLANNED
        running.store.save_connection(connection("conn_new", "new"), credentials=CREDENTIALS)
    assert list(services.store.old_seals()) == []
    assert services.store.credentials_of("conn_new") == CREDENTIALS


def test_an_interrupted_pass_goes_on_with_the_same_new_key(services):
    stocked(services)

    def stop(number, _count):
        if number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate_secret(services.store, services.settings, tell=stop)
    halfway = keys_in(services.settings.home)
    assert len(halfway) == 2
    assert contents(services) == PLANNED
    done = rotate_secret(services.store, services.settings)
    assert (done.resealed, done.finished) == (COUNT + 2 - 5, True)
    assert keys_in(services.settings.home) == halfway[:1]
    assert contents(services) == PLANNED


_ROTATE = """
import sys
from pathlib import Path
from mixsync_dagster.home import rotate_secret
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
home = Path(sys.argv[1])
def tell(number, count):
    print(number, flush=True)
    sys.stdin.readline()
with Services.open(Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}")) as services:
    rotate_secret(services.store, services.settings, tell=tell)
"""


@pytest.mark.parametrize("after", [1, 7, COUNT + 2])
def test_a_kill_between_any_two_loses_nothing(services, after):
    stocked(services)
    command = [sys.executable, "-c", _ROTATE, str(services.settings.home)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        for line in process.stdout:
            if int(line) == after:
                os.kill(process.pid, signal.SIGKILL)
                break
            process.stdin.write("\n")
            process.stdin.flush()
    assert contents(services) == PLANNED
    assert rotate_secret(services.store, services.settings).finished
    assert contents(services) == PLANNED
    assert len(keys_in(services.settings.home)) == 1


def test_what_cannot_be_opened_is_told_and_keeps_the_old_key(services):
    stocked(services)
    with services.store._database.write() as tx:
        tx.run("UPDATE connections SET credentials = ? WHERE connection_id = 'conn_03'", b"\x02" + b"x" * 60)
    done = rotate_secret(services.store, services.settings)
    assert list(done.unreadable) == ["conn_03"]
    assert "encrypted with another key" in done.unreadable["conn_03"]
    assert (done.resealed, done.finished) == (COUNT + 1, False)
    assert len(keys_in(services.settings.home)) == 2
    services.store.save_connection(connection("conn_03", "conn_03"), credentials=PLANNED["conn_03"])
    assert rotate_secret(services.store, services.settings).finished
    assert contents(services) == PLANNED


def given(home, key, *old):
    return Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}", secret_key=key, old_secret_keys=old)


def test_given_keys_are_exchanged_by_giving_both(tmp_path):
    first, second = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    home = tmp_path / "home"
    Services.init(given(home, first))
    with Services.open(given(home, first)) as services:
        stocked(services)
        _, token = services.open_keys().create(namespace="media")
    with Services.open(given(home, second)) as alone, pytest.raises(ConfigurationError, match="MIXSYNC_OLD_SECRET"):
        alone.store.credentials_of("conn_00")
    with Services.open(given(home, second, first)) as both:
        assert contents(both) == PLANNED
        assert both.open_keys().authenticate(token.encode()) is not None
        assert rotate_secret(both.store, both.settings).finished
    with Services.open(given(home, second)) as after:
        assert contents(after) == PLANNED
        assert after.open_keys().authenticate(token.encode()) is not None


def test_the_key_of_the_file_can_be_exchanged_for_a_given_one(services):
    stocked(services)
    home = services.settings.home
    with Services.open(given(home, "a passphrase of more than thirty-two characters")) as after:
        assert contents(after) == PLANNED
        assert rotate_secret(after.store, after.settings).finished
    (home / "secret.key").unlink()
    with Services.open(given(home, "a passphrase of more than thirty-two characters")) as alone:
        assert contents(alone) == PLANNED


def test_a_seal_made_with_the_old_key_during_the_pass_is_met_by_the_next_one():
    class Store:
        def __init__(self):
            self.old = [["a"], ["b"], []]
            self.resealed = []

        def old_seals(self):
            return self.old[0]

        def reseal(self, identifier):
            self.resealed.append(identifier)
            return True

        def forget_old_keys(self, forget):
            self.old.pop(0)
            if self.old[0]:
                return False
            forget()
            return True

    store, forgotten = Store(), []
    done = rotate(store, forget_old_keys=lambda: forgotten.append(1))
    assert (store.resealed, done.resealed, done.finished, forgotten) == (["a", "b"], 2, True, [1])
