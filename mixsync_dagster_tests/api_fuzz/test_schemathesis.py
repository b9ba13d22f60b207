"""schemathesis on the served OpenAPI document: whatever is asked for, the answer is one that the document tells of."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixsync_dagster_tests.support.environments import environment_with

VERSION = "4.32.5"
EXAMPLES = 300
"""Made-up requests for each operation, beside those that schemathesis derives from the document's own bounds."""
SEED = 5
JUDGE_SECONDS = 2400
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
PARTS = {
    "connections": r"^/v1/(organizations/)?connections",
    "syncs": r"^/v1/buckets/\{bucket_id\}/syncs",
    "all others": r"^(?!/v1/(organizations/)?connections|/v1/buckets/\{bucket_id\}/syncs)",
}
"""Paths that are judged by a process of its own, on a library of its own."""
HERE = Path(__file__).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(JUDGE_SECONDS + 300)]


@dataclass(frozen=True)
class Judgement:
    """What schemathesis said of one part."""

    ended: int
    said: str

    def count(self, pattern: str) -> int:
        """Return the number that the pattern's group finds in the summary."""
        found = re.search(pattern, self.said)
        assert found is not None, self.said
        return int(found[1].replace(",", ""))


@contextlib.contextmanager
def served_library(folder: Path):
    """Run the server of a library, and give what it told of itself."""
    command = [sys.executable, "-m", "mixsync_dagster_tests.api_fuzz.library_server", str(folder)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        said = process.stdout.readline()
        assert said, (folder / "server.log").read_text()
        yield json.loads(said)
    finally:
        process.communicate(timeout=60)


def judge(python: Path, folder: Path, part: str) -> Judgement:
    """Let schemathesis judge one part to its end, whatever it finds."""
    with served_library(folder) as library:
        command = [str(python), "-m", "schemathesis.cli", "run", f"{library['url']}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {library['key']}", "--include-path-regex", PARTS[part]]
        command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--continue-on-failure", "--no-shrink"]
        command += ["--checks", ",".join(CHECKS), "--generation-database", "none", "--no-color", "--warnings", "off"]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
            "MIXSYNC_FUZZ_KNOWN": json.dumps(library["known"]),
        }
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            check=False,
            timeout=JUDGE_SECONDS,
        )
    return Judgement(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def judgements(tmp_path_factory):
    """What is said of each part; they are judged at once."""
    python = environment_with(f"schemathesis=={VERSION}", constrained=True)
    with ThreadPoolExecutor(len(PARTS)) as pool:
        yield {part: pool.submit(judge, python, tmp_path_factory.mktemp("library"), part) for part in PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_one_that_the_document_tells_of(judgements, part, capsys):
    found = judgements[part].result()
    operations = found.count(r"Selected: (\d+)/")
    cases = found.count(r"([\d,]+) generated")
    with capsys.disabled():
        print(f"\n{part}: {operations} operations, {cases} requests", end="")  # noqa: T201 - a measurement
    assert found.ended == 0, found.said
    assert operations == found.count(r"Tested: (\d+)")
    assert cases > EXAMPLES * operations / 2


def test_no_operation_is_left_out(judgements):
    selected = [found.result().count(r"Selected: (\d+)/") for found in judgements.values()]
    total = judgements["syncs"].result().count(r"Selected: \d+/(\d+)")
    assert sum(selected) == total > 35
