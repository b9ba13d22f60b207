"""The vendor's own generated client fills a bucket of the simulator, which so cannot drift to our taste."""

import json
import subprocess
from pathlib import Path

import pytest

from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE
from mixsync_dagster_tests.support.environments import environment_with

PROGRAM = Path(__file__).with_name("vendor_session.py")
SEEN = {
    "bucket": ["films", "ACTIVE"],
    "uploads": [2, 2],
    "confirmed": ["COMPLETED", "COMPLETED", "COMPLETED"],
    "again": [True, True],
    "created": [2, [2]],
    "blobs": [["a.txt", 5], ["0.png", 8]],
    "listed": ["inline"],
    "batch": ["DRAFT", "api_buckets_batches_process", "COMPLETED", "COMPLETED"],
    "drafts": 0,
    "gone": [404, "NotFoundError"],
}
"""What the client's models hold after each step."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_vendors_client_fills_a_bucket_of_the_simulator(service):
    python = environment_with("mixpeek==0.81.1")
    given = json.dumps({"url": service.url, "key": API_KEY, "namespace": NAMESPACE})
    done = subprocess.run(
        [str(python), "-I", str(PROGRAM)], input=given, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == SEEN
