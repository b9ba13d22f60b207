import pytest

from mixsync_dagster.commands.failures import CommandFailed, redacted_traceback, report
from mixsync_dagster.errors import (
    AlreadyLocked,
    Conflict,
    InvalidInput,
    NotFound,
    ProviderUnavailable,
    StoreUnavailable,
)
from mixsync_dagster.testing.clock import SimulatedClock


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput.of("a", 1, "2"), 2),
        (NotFound("there is none."), 2),
        (Conflict("it is paused."), 2),
        (AlreadyLocked("sync_a", "somebody", SimulatedClock().now()), 4),
        (ProviderUnavailable("nobody answers."), 1),
        (StoreUnavailable("it is full."), 1),
        (CommandFailed("it failed."), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("anything"), 1),
    ],
)
def test_every_error_has_its_exit_status(error, status, capsys):
    assert report(error, debug=False) == status
    assert capsys.readouterr().err.startswith("mixsync: ")


def test_an_unexpected_error_is_one_sentence_without_its_words(capsys):
    report(ValueError("http://host/?token=s3cret"), debug=False)
    assert capsys.readouterr().err == (
        "mixsync: an unexpected ValueError stopped the command; run the command again with --debug to see where.\n"
    )


def vendor():
    raise ValueError("http://host/?token=" + "s3" + "cret")


def adapter():
    try:
        vendor()
    except ValueError as error:
        raise NotFound("there is no such thing.") from error


def raised():
    with pytest.raises(NotFound) as caught:
        adapter()
    return caught.value


def test_debug_shows_where_and_no_foreign_words(capsys):
    report(raised(), debug=True)
    shown = capsys.readouterr().err
    assert "in vendor" in shown
    assert "mixsync: there is no such thing." in shown
    assert "s3cret" not in shown


def test_causes_come_first():
    lines = redacted_traceback(raised()).splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads == [
        "builtins.ValueError: (message withheld)",
        "mixsync_dagster.errors.NotFound: there is no such thing.",
    ]
