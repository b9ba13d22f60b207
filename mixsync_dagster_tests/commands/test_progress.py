from mixsync_dagster.commands.progress import ProgressReporter
from mixsync_dagster.model.progress import Counters


def test_progress_counts_what_was_committed():
    with ProgressReporter("videos") as reporter:
        reporter.planned(10, 1000)
        reporter.planned(5, 500)
        reporter.progressed(Counters(created=3, replaced=1, failed=1, unchanged=7, bytes=400))
        task = reporter._bar.tasks[0]
        assert (task.total, task.completed, task.fields["size_bytes"]) == (15, 5, 400)
