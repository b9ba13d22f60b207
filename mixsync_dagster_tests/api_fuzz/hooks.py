"""Leads what schemathesis makes up to what exists: runs in its environment, which has nothing of ours.

Most ids and references become those of one tenant's library, which MIXSYNC_FUZZ_KNOWN holds as JSON; the others stay as
they were made up. Which ones is decided by the values alone, so that a seed stands for the same requests every time.
"""

import json
import os
import zlib

import schemathesis

KNOWN = json.loads(os.environ["MIXSYNC_FUZZ_KNOWN"])
KEPT = 8
"""One in so many made-up values stays."""


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Replace references right before the request."""
    # What is there is not deleted, so that what follows meets it; the library has something to delete as well.
    known = KNOWN["deleted"] if case.method.upper() == "DELETE" else KNOWN["used"]
    for place in (case.path_parameters, case.headers, case.query, case.body):
        if isinstance(place, dict):
            for name, value in place.items():
                if name in known and zlib.crc32(repr(value).encode("utf-8", "replace")) % KEPT:
                    place[name] = known[name]
