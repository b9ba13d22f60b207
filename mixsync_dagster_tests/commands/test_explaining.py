"""Single items on the command line."""

import pytest


@pytest.fixture
def landed(live, mixsync):
    """Three objects, and a run that made them."""
    live()
    assert mixsync("run", "live").status == 0


def test_an_item_in_the_bucket_is_explained(landed, mixsync):
    told = mixsync("explain", "live", "folder/a.txt", "--json").lines[0]
    assert (told["standing"], told["in_bucket"]) == ("in_bucket", True)
    shown = mixsync("explain", "live", "folder/a.txt").out
    assert "It is in the bucket." in shown
    assert "from metadata owner: ana" in shown


def test_the_source_is_asked_on_request(landed, mixsync):
    assert mixsync("explain", "live", "nowhere.txt", "--json").lines[0]["standing"] == "unknown"
    told = mixsync("explain", "live", "nowhere.txt", "--from-source", "--json").lines[0]
    assert (told["standing"], told["reason"]) == ("not_listed", "The source does not list it.")


def test_a_report_tells_each_item(landed, mixsync):
    lines = mixsync("report", "live", "--json").lines
    assert {(one["source_path"], one["outcome"]) for one in lines} == {
        ("folder/a.txt", "created"),
        ("folder/b [x].txt", "created"),
        ("other/c.txt", "created"),
    }
    assert "folder/b [x].txt" in mixsync("report", "live").out
    run = mixsync("runs", "live", "--json").lines[0]["sync_run_id"]
    assert len(mixsync("report", "live", run, "--limit", "2", "--json").lines) == 2


def test_runs_of_others_are_not_there(landed, media, mixsync):
    run = mixsync("runs", "live", "--json").lines[0]["sync_run_id"]
    assert mixsync("report", "videos", run).status == 2
    assert "has no run yet" in mixsync("report", "videos").err
