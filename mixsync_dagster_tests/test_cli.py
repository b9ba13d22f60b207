"""The command line as scripts see it: real processes, exit status, stdout and stderr."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mixsync_dagster import cli
from mixsync_dagster.settings import child_environment

COMMANDS = [
    "init",
    "demo",
    "apply",
    "export",
    "connections",
    "run",
    "plan",
    "check",
    "syncs",
    "runs",
    "objects",
    "batches",
    "dlq",
    "cat",
    "pause",
    "resume",
    "trigger",
    "unlock",
]


def mixsync(*arguments, home, **options):
    environment = child_environment({"MIXSYNC_HOME": str(home)}, without_prefix="MIXSYNC_")
    command = [sys.executable, "-m", "mixsync_dagster.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60, **options)


def test_help_lists_every_command(tmp_path):
    done = mixsync("--help", home=tmp_path)
    assert done.returncode == 0
    assert [command for command in COMMANDS if command not in done.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    assert cli.run([command, "--help"]) == 0
    assert "Example: `" in capsys.readouterr().out


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "cat"])
def test_every_command_that_tells_something_tells_it_to_machines(command, capsys):
    cli.run([command, "--help"])
    assert "--json" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom mixsync_dagster import cli\ncli.run(['--help'])\n"
        "heavy = ('dagster', 'pyarrow', 'pandas', 'sqlalchemy', 'botocore', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], "mixsync: No such command 'fly'. See `mixsync --help`.\n"),
        (["run"], "mixsync: Missing argument 'SYNC'. See `mixsync --help`.\n"),
        (["syncs", "--wings"], "mixsync: No such option: --wings. See `mixsync --help`.\n"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_status_2(arguments, sentence, capsys):
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", sentence)


def test_a_value_out_of_bounds_names_its_option(capsys):
    assert cli.run(["runs", "a", "--limit", "0"]) == 2
    assert capsys.readouterr().err.startswith("mixsync: Invalid value for '--limit': ")


def test_a_process_ends_with_the_status(tmp_path):
    done = mixsync("syncs", home=tmp_path / "absent")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"mixsync: there is no mixsync home at {tmp_path / 'absent'}; run `mixsync init`, or set MIXSYNC_HOME.\n",
    )


def test_debug_is_taken_after_the_command_and_shows_where(tmp_path):
    done = mixsync("syncs", "--debug", home=tmp_path / "absent")
    assert done.returncode == 2
    assert "wiring.py" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("mixsync: there is no mixsync home")


def test_a_wrong_setting_is_told_by_every_command(tmp_path):
    environment = child_environment({"MIXSYNC_HOME": str(tmp_path), "MIXSYNC_LEASE_SECONDS": "1"})
    command = [sys.executable, "-m", "mixsync_dagster.cli", "syncs"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (
        2,
        "mixsync: MIXSYNC_LEASE_SECONDS: 1 is not accepted; give a number from 5 to 3600 (seconds).\n",
    )


def test_a_reader_that_closes_its_end_is_no_failure(tmp_path):
    code = "import sys\nfrom mixsync_dagster import cli\nsys.exit(cli.run(['--help']))"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=closed, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_as_interrupted(tmp_path, number):
    code = (
        "import time\nfrom mixsync_dagster import cli\n"
        "@cli.app.command('hold')\n"
        "def hold() -> None:\n    print('held', flush=True)\n    time.sleep(60)\n"
        "cli.main(['hold'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "held\n"
    began = time.monotonic()
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert err.startswith("mixsync: interrupted; the state is consistent")
    assert time.monotonic() - began < 10
