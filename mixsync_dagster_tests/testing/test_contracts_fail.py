"""Every test of the providers' contract suites fails with a provider that breaks its promise: none guards nothing."""

from pathlib import Path

import pytest

from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract
from mixsync_dagster_tests import providers
from mixsync_dagster_tests.testing import wrong_feeds, wrong_powers  # noqa: F401 - they add to WRONG
from mixsync_dagster_tests.testing.memory_worlds import MemoryWorld, memory_feed_world
from mixsync_dagster_tests.testing.wrong_listings import WRONG

LONGEST_BINDING = 40
BINDING = "test_the_contracts_of_all_declared_powers_are_checked"


class Suites(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    """All suites at once; not collected by its name."""


def names_in(suite):
    return {name for name in dir(suite) if name.startswith("test_")}


def outcome(suite, name, world):
    """Return `passed`, `skipped` or `failed`. A wrong provider that is itself broken raises something else."""
    try:
        getattr(suite, name)(world)
    except pytest.skip.Exception:
        return "skipped"
    except (AssertionError, pytest.fail.Exception, MixsyncError):
        return "failed"
    return "passed"


@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(kind, name, id=f"{kind.__name__}-{name}") for kind, names in WRONG for name in names],
)
def test_a_broken_promise_is_found(kind, name):
    assert outcome(Suites(), name, MemoryWorld(kind)) == "failed"


def test_every_test_of_the_suites_has_a_provider_that_it_finds_wrong():
    found = {name for _, names in WRONG for name in names}
    assert names_in(Suites) - found == {BINDING}
    assert found <= names_in(Suites)


def test_a_power_without_its_suite_is_found():
    assert outcome(ProviderContract(), BINDING, memory_feed_world()) == "failed"
    assert outcome(Suites(), BINDING, memory_feed_world()) == "passed"


def test_the_suites_are_as_large_as_promised():
    sizes = [len(names_in(suite)) for suite in (ProviderContract, ChangeFeedContract, AttributeSourceContract)]
    assert sizes[0] >= 25
    assert sizes[1] >= 12
    assert sizes[2] >= 8


@pytest.mark.parametrize("package", sorted({kind.factory.split(".")[-2] for kind in KINDS.values()}))
def test_every_provider_is_held_to_the_suites_in_few_lines(package):
    binding = Path(providers.__file__).parent / package / "test_contract.py"
    text = binding.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_BINDING
    assert "ProviderContract" in text
