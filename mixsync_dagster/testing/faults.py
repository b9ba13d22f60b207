"""The faults that a FaultProxy can inject. One instance may serve any number of rules, requests and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, TypeAlias

from mixsync_dagster.testing.fault_traffic import Answer, ConnectionEnds, Flow, Passage, ProxiedRequest, whole_flow

RequestHook: TypeAlias = Callable[[ProxiedRequest], object]
Rewriting: TypeAlias = Callable[[ProxiedRequest, Answer], Answer]


class Fault:
    """Base of all faults, and of your own.

    Override `before`, `change` or both; several threads call them at once. Call `passage.strike(self.kind)` at the
    moment at which the fault takes effect.
    """

    kind: ClassVar[str] = "fault"
    """Name in the log and in the counts."""

    def before(self, passage: Passage) -> Flow | None:
        """Act before the request is sent on; a Flow is the answer, and the server never sees the request."""

    def change(self, passage: Passage, flow: Flow) -> Flow:  # noqa: ARG002 - for those who override it
        """Return what the client is given in place of this answer; nothing of its body was read yet."""
        return flow

    def release(self) -> None:
        """Let go whatever waits inside this fault; the proxy calls it when it closes."""


@dataclass(frozen=True)
class AnswerWith(Fault):
    """Answer in the server's place, e.g. 429 or 503; see `s3_error` for bodies of the S3 protocol."""

    kind: ClassVar[str] = "status"
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def before(self, passage: Passage) -> Flow:
        """Answer."""
        passage.strike(self.kind)
        return whole_flow(Answer(self.status, tuple(self.headers.items()), self.body))


def s3_error(status: int, code: str, *, retry_after: str | int | None = None, message: str = "injected") -> AnswerWith:
    """Return the fault that answers with an error of the S3 protocol; `retry_after` is seconds or an HTTP date."""
    headers = {"Content-Type": "application/xml"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return AnswerWith(status, headers, text.encode())


@dataclass(frozen=True)
class ResetBefore(Fault):
    """Reset the connection in place of an answer."""

    kind: ClassVar[str] = "reset_before"
    forwarded: bool = False
    """True: the server gets the request and acts on it, and only its answer is lost."""

    def before(self, passage: Passage) -> None:
        """Reset, unless the server is to be asked first."""
        if not self.forwarded:
            passage.strike(self.kind)
            raise ConnectionEnds(reset=True)

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Reset now that the server has answered."""
        for _ in flow.pieces:
            pass
        passage.strike(self.kind)
        raise ConnectionEnds(reset=True)


@dataclass(frozen=True)
class ResetInside(Fault):
    """Reset the connection once `after_bytes` of the body were sent; a shorter body passes whole.

    The client may see fewer bytes than that, since a reset overtakes what its machine has not taken yet.
    """

    kind: ClassVar[str] = "reset_inside"
    after_bytes: int = 0

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Reset at the byte."""

        def reset() -> None:
            passage.strike(self.kind)
            raise ConnectionEnds(reset=True)

        return replace(flow, pieces=_acting_at(flow.pieces, self.after_bytes, reset))


@dataclass(frozen=True)
class Truncate(Fault):
    """Send only the body's first `after_bytes`; a body that is not longer passes whole.

    `announce` says what the head promises: "whole" keeps the server's Content-Length and closes the connection early,
    as a server that dies does; "cut" announces the shorter length, so that the answer looks complete.
    """

    kind: ClassVar[str] = "truncate"
    after_bytes: int = 0
    announce: Literal["whole", "cut"] = "whole"

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Cut."""
        if self.announce == "whole":

            def close() -> None:
                passage.strike(self.kind)
                raise ConnectionEnds(reset=False)

            return replace(flow, pieces=_acting_at(flow.pieces, self.after_bytes, close))
        if passage.request.method == "HEAD" or (flow.length is not None and flow.length <= self.after_bytes):
            return flow
        length = None if flow.length is None else self.after_bytes
        return replace(flow, length=length, pieces=self._cut(passage, flow.pieces))

    def _cut(self, passage: Passage, pieces: Iterator[bytes]) -> Iterator[bytes]:
        left = self.after_bytes
        for piece in pieces:
            if len(piece) > left:
                passage.strike(self.kind)
            if left:
                yield piece[:left]
            left -= min(left, len(piece))


@dataclass(frozen=True)
class CorruptByte(Fault):
    """Flip bits of the body's byte at `position`; headers and length stay right. A shorter body passes whole."""

    kind: ClassVar[str] = "corrupt"
    position: int = 0
    mask: int = 0xFF
    """The bits that are flipped; 0 would change nothing."""

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Corrupt."""
        return replace(flow, pieces=self._corrupted(passage, flow.pieces))

    def _corrupted(self, passage: Passage, pieces: Iterator[bytes]) -> Iterator[bytes]:
        begin = 0
        for piece in pieces:
            at = self.position - begin
            begin += len(piece)
            if 0 <= at < len(piece):
                passage.strike(self.kind)
                yield piece[:at] + bytes((piece[at] ^ self.mask,)) + piece[at + 1 :]
            else:
                yield piece


@dataclass(frozen=True)
class Delay(Fault):
    """Wait before the request is sent on, by the real clock; a proxy that closes does not wait."""

    kind: ClassVar[str] = "delay"
    seconds: float

    def before(self, passage: Passage) -> None:
        """Wait."""
        passage.strike(self.kind)
        passage.wait(self.seconds)


class Hang(Fault):
    """Fall silent until `release()`, then go on as if nothing had been; without it, until the proxy closes.

    `after_bytes` None: before the request is sent on; else once that many bytes of the body were sent (a shorter body
    passes whole). A released Hang stays released.
    """

    kind: ClassVar[str] = "hang"

    def __init__(self, *, after_bytes: int | None = None) -> None:
        self._after_bytes = after_bytes
        self._released = threading.Event()
        self.reached = threading.Event()
        """Set as soon as a request hangs here; a test waits for it, with a timeout."""

    def before(self, passage: Passage) -> None:
        """Hang, unless inside the body is meant."""
        if self._after_bytes is None:
            self._hang(passage)

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Hang at the byte."""
        if self._after_bytes is None:
            return flow
        return replace(flow, pieces=_acting_at(flow.pieces, self._after_bytes, lambda: self._hang(passage)))

    def release(self) -> None:
        """Let every request go on that hangs or will come to it. Twice is harmless."""
        self._released.set()

    def _hang(self, passage: Passage) -> None:
        passage.strike(self.kind)
        self.reached.set()
        self._released.wait()
        if passage.stopping.is_set():
            raise ConnectionEnds(reset=True)


@dataclass(frozen=True)
class Drip(Fault):
    """Send the body `piece_bytes` at a time, one byte unless told, `interval_seconds` of real time apart.

    No read timeout longer than the interval ever ends such an answer. `each` is called before each piece with the
    number of bytes sent once it is, and may move a simulated clock on in place of waiting. An empty body passes as it
    is.
    """

    kind: ClassVar[str] = "drip"
    interval_seconds: float = 0.0
    piece_bytes: int = 1
    each: Callable[[int], object] = field(default=lambda _sent: None)

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Slow down."""
        return replace(flow, pieces=self._drops(passage, flow.pieces))

    def _drops(self, passage: Passage, pieces: Iterator[bytes]) -> Iterator[bytes]:
        sent = 0
        for piece in pieces:
            for at in range(0, len(piece), self.piece_bytes):
                drop = piece[at : at + self.piece_bytes]
                passage.strike(self.kind)
                if sent:
                    passage.wait(self.interval_seconds)
                sent += len(drop)
                self.each(sent)
                yield drop


@dataclass(frozen=True)
class Hook(Fault):
    """Call functions around a request: the way to change the source between two steps of a client.

    `on_request` is called before the request is sent on, `on_answer` when the server has answered and the client was
    given nothing yet, `on_body` when `after_bytes` of a longer body were given. The exchange goes on when the function
    has returned.
    """

    kind: ClassVar[str] = "hook"
    on_request: RequestHook | None = None
    on_answer: RequestHook | None = None
    on_body: RequestHook | None = None
    after_bytes: int = 0

    def before(self, passage: Passage) -> None:
        """Call the first."""
        self._call(passage, self.on_request)

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Call the second, and the third in its time."""
        self._call(passage, self.on_answer)
        if self.on_body is None:
            return flow
        return replace(
            flow, pieces=_acting_at(flow.pieces, self.after_bytes, lambda: self._call(passage, self.on_body))
        )

    def _call(self, passage: Passage, hook: RequestHook | None) -> None:
        if hook is not None:
            passage.strike(self.kind)
            hook(passage.request)


@dataclass(frozen=True)
class Rewrite(Fault):
    """Give the client what a function makes of the server's whole answer, e.g. a listing with other sizes.

    The answer is held in memory; Content-Length follows the new body. For HEAD the body is empty and the server's
    Content-Length is kept unless the function returns a body.
    """

    kind: ClassVar[str] = "rewrite"
    function: Rewriting

    def change(self, passage: Passage, flow: Flow) -> Flow:
        """Rewrite."""
        given = Answer(flow.status, flow.headers, b"".join(flow.pieces))
        passage.strike(self.kind)
        answer = self.function(passage.request, given)
        rewritten = whole_flow(answer)
        if answer.status == flow.status:
            rewritten.reason = flow.reason
        if passage.request.method == "HEAD" and not answer.body:
            rewritten.length = flow.length
        return rewritten


def _acting_at(pieces: Iterator[bytes], position: int, act: Callable[[], None]) -> Iterator[bytes]:
    """Pass a body on and act once, before its byte at `position`; a body that has no such byte just passes."""
    passed, acted = 0, False
    for piece in pieces:
        if not acted and passed + len(piece) > position:
            at = position - passed
            if at:
                yield piece[:at]
            acted = True
            act()
            yield piece[at:]
        else:
            yield piece
        passed += len(piece)
