import pytest

from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def services(tmp_path, clock):
    home = tmp_path / "home"
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}")
    Services.init(settings)
    with Services.open(settings, clock=clock) as opened:
        yield opened
