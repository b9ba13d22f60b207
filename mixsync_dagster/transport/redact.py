"""Words about failures that can be shown to anybody: no header, no body, no query, no credential.

Vendor exceptions carry whole URLs, signatures and response bodies. What is logged or stored of them passes `summary`;
`RedactingFilter` is the second net, for records that third-party code writes.
"""

from __future__ import annotations

import logging
from typing import Any

import re2

from mixsync_dagster.errors import MixsyncError

_LONGEST = 300
_STATUS_ATTRIBUTES = ("status", "status_code", "code", "errno")
# RE2, whose time grows with the text and no faster: a pattern that begins with any word takes `re` seconds for a word
# of some thousand letters, and names of files and objects are words that strangers choose.
_URL_TAIL = re2.compile(
    r"(?i)(?P<start>\b[a-z][a-z0-9+.-]{1,15}://)(?:[^\s/@\"'<>]*@)?(?P<place>[^\s?#\"'<>]*)[^\s\"'<>]*"
)
_NAMED_SECRET = re2.compile(
    r"(?i)(?P<name>authorization|x-amz-security-token|x-amz-signature|signature|credential|set-cookie|cookie|"
    r"[\w-]*(?:password|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)(?:s|[_-][\w-]*)?)"
    r"(?P<sign>[\"']?\s*[=:]\s*)(?:(?:bearer|basic|aws4-hmac-sha256)\s+[^\r\n\"']*|\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
)
_PEM = re2.compile(r"(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\z)")
HIDDEN = "[hidden]"
"""Stands where a secret stood."""


def redact(text: str) -> str:
    """Return the text without URL queries, user parts, named secrets and PEM blocks; harmless text stays as it is."""
    if not text.isascii():
        # A half of a character that stands alone is nothing that RE2 reads.
        text = text.encode("utf-8", "replace").decode()
    text = _PEM.sub(HIDDEN, text)
    text = _URL_TAIL.sub(lambda match: match["start"] + match["place"], text)
    redacted: str = _NAMED_SECRET.sub(lambda match: f"{match['name']}{match['sign']}{HIDDEN}", text)
    return redacted


def summary(error: BaseException) -> str:
    """Return one line about an exception that is safe to log, store and show.

    Our own errors are sentences made to be shown and are kept (redacted all the same); of any other exception only the
    class name and, where it has one, a numeric status remain: its text is not ours to trust.
    """
    name = type(error).__name__
    if isinstance(error, MixsyncError):
        text = f"{name}: {redact(' '.join(str(error).split()))}"
        return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    status = _status_of(error)
    return name if status is None else f"{name} (status {status})"


def _status_of(error: BaseException) -> int | None:
    holders: tuple[Any, ...] = (error, getattr(error, "response", None), getattr(error, "resp", None))
    for holder in holders:
        for attribute in _STATUS_ATTRIBUTES:
            value = getattr(holder, attribute, None)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


class RedactingFilter(logging.Filter):
    """Rewrites every record that passes: its message redacted, a traceback cut down to `summary` of its exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True always; the record is changed in place, and a second pass changes nothing more."""
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and record.exc_info[1] is not None:
            record.msg = f"{record.msg} ({summary(record.exc_info[1])})"
        record.exc_info = None
        record.exc_text = None
        return True
