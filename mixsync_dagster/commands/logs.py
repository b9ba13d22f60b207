"""Log lines of the command line: warnings on stderr, as text or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import sys

from mixsync_dagster.transport.redact import RedactingFilter

_NAME = "mixsync-stderr"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        return json.dumps(
            {
                "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
                "level": record.levelname,
                "logger": record.name,
                "message": record.getMessage(),
            },
            ensure_ascii=False,
        )


def configure(log_format: str) -> logging.Handler:
    """Send warnings of every logger to stderr in the format (text or json); again replaces what was set before."""
    text = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_NAME)
    handler.setFormatter(JsonLines() if log_format == "json" else text)
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.get_name() == _NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    return handler
