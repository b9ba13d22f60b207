from datetime import UTC, datetime

import pytest

from mixsync_dagster.commands import output


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [(None, ""), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1536 * 1024, "1.5 MB"), (2**50, "1024.0 TB")],
)
def test_sizes(size_bytes, told):
    assert output.size(size_bytes) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (185, "3 min 5 s"), (7260, "2 h 1 min")]
)
def test_durations(seconds, told):
    assert output.duration(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ""),
        (True, "yes"),
        (datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "2026-01-02 03:04:05"),
        ({"a": 1, "b": "x"}, "a=1, b=x"),
        ("a\x1b[31m\nb", "a�[31m�b"),
    ],
)
def test_cells_are_one_printable_line(value, told):
    assert output.shown(value) == told


def test_json_keeps_unicode_and_tells_times_as_iso(capsys):
    output.print_json_lines([{"name": "ü"}, {"at": datetime(2026, 1, 2, tzinfo=UTC)}])
    assert capsys.readouterr().out == '{"name": "ü"}\n{"at": "2026-01-02T00:00:00+00:00"}\n'


def test_a_table_without_rows_is_a_sentence(capsys):
    output.print_table(("a",), [], empty="Nothing.")
    assert capsys.readouterr().out == "Nothing.\n"


def test_a_wide_table_is_not_broken_in_a_pipe(capsys):
    output.print_table(("a", "b"), [("x" * 90, "[red]y")], empty="")
    assert capsys.readouterr().out.splitlines()[1].split() == ["x" * 90, "[red]y"]


def test_absent_facts_are_left_out(capsys):
    output.print_facts({"a": 0, "b": None, "c": ""})
    assert capsys.readouterr().out.split() == ["a", "0"]
