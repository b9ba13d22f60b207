"""Seeded bugs: every one is seen, or the campaign proves nothing."""

from __future__ import annotations

import pytest

from mixsync_dagster_tests.faults import campaign
from mixsync_dagster_tests.faults.campaign import all_caught, case_of, caught_by
from mixsync_dagster_tests.faults.mutants import MUTANTS, Mutant, named
from mixsync_dagster_tests.faults.worlds import Lab


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_a_bug_replaces_is_still_there_once(mutant: Mutant) -> None:
    compile(mutant.source(), mutant.file, "exec")
    for name in mutant.tries:
        assert str(case_of(name)) == name


def test_a_bug_whose_text_is_gone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"stands 0 times in engine/run\.py, not once"):
        Mutant("lost", "engine/run.py", (("no such text", ""),), ()).source()


def test_there_are_at_least_ten_and_all_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10


def test_a_bug_that_no_case_sees_is_told_as_surviving(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # A cursor that runs ahead is harmless unless a worker dies behind it.
    monkeypatch.setattr(campaign, "_tries", lambda _mutant: ["kill engine:finishing#1"])
    assert caught_by(lab, named("cursor before its effects")) is None


@pytest.mark.slow
def test_every_seeded_bug_is_seen(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    caught = all_caught(lab)
    with capsys.disabled():
        for name, seen in caught.items():
            print(f"\n  {name} -> {seen or 'SURVIVES'}", end="")  # noqa: T201 - the table is what the test is for
    assert [name for name, seen in caught.items() if seen is None] == []
