from mixsync_dagster_tests.benchmarks.report import report_markdown, report_table

ROW = {
    "tool": "peer",
    "wall_seconds": 4.0,
    "cpu_seconds": 1.0,
    "objects_per_second": 2500.0,
    "megabytes_per_second": 8.0,
    "cpu_microseconds_per_object": 100.0,
    "peak_rss_megabytes": 64.4,
    "ratio": 0.5,
    "requests": {"list": 10, "get": 10_000, "head": 0},
}
DOCUMENT = {
    "date": "2026-01-02 03:04 UTC",
    "machine": {"cores": "2"},
    "server_limits": {},
    "scenarios": [{"name": "small", "objects": 10_000, "tools": [{**ROW, "tool": "mixsync", "ratio": None}, ROW]}],
}


def test_markdown_has_one_line_a_tool_under_its_scenario() -> None:
    assert report_markdown(DOCUMENT).splitlines() == [
        "2026-01-02 03:04 UTC; cores 2; server alone: not measured.",
        "",
        "| scenario | tool | median s | ours / tool | objects/s | MB/s | CPU s | CPU us/object | peak MB | requests |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
        "| `small` (10,000) | mixsync | 4.00 |  | 2,500 | 8 | 1.00 | 100 | 64 | list 10 get 10000 |",
        "|  | peer | 4.00 | 0.50 | 2,500 | 8 | 1.00 | 100 | 64 | list 10 get 10000 |",
    ]


def test_the_printed_table_has_the_same_cells() -> None:
    table = report_table(DOCUMENT)
    assert [list(column.cells) for column in table.columns][1:4] == [
        ["mixsync", "peer"],
        ["4.00", "4.00"],
        ["", "0.50"],
    ]
