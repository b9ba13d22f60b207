"""The header Idempotency-Key: a request that is sent again is answered again, and done once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from mixsync_dagster.api.access import Call, Editor, Serving
from mixsync_dagster.api.bodies import JsonBody
from mixsync_dagster.api.failures import Answer, ApiError
from mixsync_dagster.control.idempotency import Deed, KeyReused, Repeats, StillRunning
from mixsync_dagster.errors import NotFound
from mixsync_dagster.ports.idempotency import Named

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY = 255

_SPARE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Once:
    """One request, which is carried out once for its key, or simply carried out when it has none."""

    call: Call
    name: Named | None
    fingerprint: str

    def __call__(
        self, *, reserve: Callable[[], str], make: Callable[[str], Any], find: Callable[[str], Any | None]
    ) -> Any:
        """Return the answer; see `control.idempotency.Deed`. `find` may raise NotFound for nothing."""
        if self.name is None:
            return make(reserve())
        seconds = self.call.services.settings.check_seconds + _SPARE_SECONDS
        deed = Deed(reserve, make, lambda reserved: _found(find, reserved))
        try:
            done = Repeats(self.call.services.store, seconds).once(self.name, self.fingerprint, deed, now=self.call.now)
        except KeyReused as error:
            raise ApiError(422, "idempotency_key_reused", f"{HEADER}: {error}", field=("header", HEADER)) from None
        except StillRunning as error:
            raise ApiError(409, "idempotency_key_in_use", f"{HEADER}: {error}", (("Retry-After", "1"),)) from None
        return Answer(done.answer, headers={REPLAYED: "true"}) if done.repeated else done.answer


def _found(find: Callable[[str], Any | None], reserved: str) -> Any | None:
    try:
        return find(reserved)
    except NotFound:
        return None


def _once(
    request: Request,
    call: Editor,
    body: JsonBody,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=MAX_KEY,
            description="A name of your own for this request. Within 24 hours, a repeat with the same key is answered "
            "as the first one was, and done once.",
            examples=["2f1c7a0e-0a52-4b8e-9a53-6a1b1d3b7f10"],
        ),
    ] = None,
) -> Once:
    if key is None:
        return Once(call, None, "")
    owner = call.owner
    scope = f"{owner.internal_id}:{owner.namespace_id}:{owner.user_id}"
    asked = [
        # The function, for several paths may lead to it.
        request.scope["endpoint"].__name__,
        dict(request.path_params),
        sorted(request.query_params.multi_items()),
        body,
    ]
    serving: Serving = request.app.state.serving
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return Once(call, Named(scope, key), serving.keys.fingerprint(text.encode("ascii")))


Repeatable = Annotated[Once, Depends(_once)]
"""A request that may carry a key of its own, by a caller who may at least edit."""
