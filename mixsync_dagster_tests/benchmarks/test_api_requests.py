"""What is asked of wrk, and how its answer is read."""

import pytest

from mixsync_dagster_tests.benchmarks.api_requests import UNIQUE, Answered, Load, answered, script_of
from mixsync_dagster_tests.benchmarks.measuring import BenchmarkFailed

OUTPUT = """\
Running 2s test @ http://127.0.0.1:8800
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.03ms    1.87ms  23.52ms   84.30%
    Req/Sec     2.04k   148.05     2.24k    75.00%
  Latency Distribution
     50%    3.62ms
     75%    4.57ms
     90%  900.00us
     99%    1.07s
  4063 requests in 2.00s, 714.20KB read
Requests/sec:   2029.27
Transfer/sec:    356.70KB
"""


def test_rate_and_latencies_are_read():
    assert answered(OUTPUT) == Answered(2029.27, pytest.approx(0.00362), pytest.approx(1.07))


@pytest.mark.parametrize(
    "output",
    [
        OUTPUT.replace("Requests/sec:", "  Non-2xx or 3xx responses: 3\nRequests/sec:"),
        OUTPUT.replace("Requests/sec:", "  Socket errors: connect 0, read 0, write 0, timeout 8\nRequests/sec:"),
        OUTPUT.replace("2029.27", "0.00"),
        "unable to connect",
    ],
)
def test_a_round_that_was_not_answered_well_is_none(output):
    with pytest.raises(BenchmarkFailed):
        answered(output)


def test_a_script_asks_with_a_key_and_makes_names_once():
    load = Load("create", 1, "/v1/buckets", "POST", f'{{"bucket_name": "made-{UNIQUE}"}}', "sk_fake")
    script = script_of(load, round_number=3)
    assert 'wrk.headers["Authorization"] = [[Bearer sk_fake]]' in script
    assert 'local unique = 3 .. "-" .. number .. "-" .. n' in script
    wanted = 'wrk.format([[POST]], [[/v1/buckets]], nil, [[{"bucket_name": "made-]] .. unique .. [["}]])'
    assert wanted in script
    assert "wrk.format([[GET]], [[/bare]], nil, nil)" in script_of(Load("bare", 1, "/bare"), round_number=0)
