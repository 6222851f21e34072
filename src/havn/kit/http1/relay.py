"""One request passed to an upstream and its answer passed back, both streamed, each side at the other's pace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from havn.kit.http1.body import LAST_CHUNK, BodyReader, chunk
from havn.kit.http1.head import (
    CHUNKED,
    UNTIL_CLOSE,
    BadMessage,
    Field,
    RequestHead,
    ResponseHead,
    end_to_end,
    parse_response,
    write_head,
)
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds of silence that are borne before giving up."""

    head: float = 10.0
    """From the first to the last byte of a request's head."""
    idle: float = 75.0
    """Between requests on one connection."""
    body: float = 30.0
    """Between two pieces of a request's body."""
    answer: float = 120.0
    """From the end of the request to the head of the answer."""
    take: float = 60.0
    """Until the peer takes what was sent to it."""


class Upload(msgspec.Struct, frozen=True):
    """What a request's body may be: at most `size` bytes, and no trickle that holds an upstream for hours.

    After `grace` seconds of waiting for it, it must have brought `rate` bytes a second on average. 0 is no bound.
    """

    size: int = 0
    rate: int = 0
    grace: float = 30.0


class UpstreamFailed(Exception):
    """The upstream broke off before any of its answer was passed on, so another answer can still be given.

    `answered` tells whether it had begun to answer; if not, and the request may be repeated, try another.
    """

    def __init__(self, detail: str, *, answered: bool, status: int = 502) -> None:
        super().__init__(detail)
        self.answered = answered
        self.status = status


class Result(msgspec.Struct, frozen=True):
    """How an exchange ended: which of the two connections may carry another."""

    client: bool
    upstream: bool
    status: int
    unread: bool = False
    """The client was still sending when its answer was complete."""


AnswerFields = Callable[[ResponseHead, list[Field]], list[Field]]


async def relay(
    client: Wire,
    request: RequestHead,
    head: bytes,
    upstream: Wire,
    *,
    timeouts: Timeouts,
    answer_fields: AnswerFields | None = None,
    allowed: Upload | None = None,
) -> Result:
    """Send `head` and the client's body to `upstream`, and the answer back; an upgrade becomes a tunnel.

    Raises `UpstreamFailed` before the answer began; `BadMessage` or `SlowPeer` when the client is at fault and can
    still be told; `ConnectionEnded` when there is nobody left to tell.
    """
    upstream.write(head)
    upload: asyncio.Task[None] | None = None
    if request.body != 0:
        copying = _upload(client, request, upstream, timeouts, allowed or Upload())
        upload = asyncio.get_running_loop().create_task(copying)
    try:
        response = await _answer_head(client, request, upstream, upload, timeouts)
        if response.status == 101:
            _pass_head(client, response, response.fields_out(request, answer_fields))
            await _tunnel(client, upstream)
            return Result(client=False, upstream=False, status=101)
        keep = request.keep_alive
        fields = response.fields_out(request, answer_fields)
        chunked = response.framing in (CHUNKED, UNTIL_CLOSE) and request.minor == 1
        if chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        elif response.framing < 0:
            keep = False
        if upload is not None and not upload.done():
            # The answer may be complete before the request is: then neither connection can be used again, and the
            # client learns so at once.
            keep = False
        if not keep:
            fields.append((b"connection", b"close"))
        _pass_head(client, response, fields)
        await _download(client, response.framing, upstream, chunked=chunked, timeouts=timeouts)
        complete = upload is None or (upload.done() and not upload.cancelled() and upload.exception() is None)
        return Result(
            client=keep and complete,
            upstream=complete and response.head.keep_alive,
            status=response.status,
            unread=not complete,
        )
    finally:
        if upload is not None and not upload.done():
            upload.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await upload


class _Answer(msgspec.Struct, frozen=True):
    head: ResponseHead

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def framing(self) -> int:
        return self.head.body

    def fields_out(self, request: RequestHead, change: AnswerFields | None) -> list[Field]:
        fields = end_to_end(self.head.fields, self.head.named)
        if self.status == 101 and self.head.upgrade is not None:
            fields += [(b"connection", b"upgrade"), (b"upgrade", self.head.upgrade)]
        return change(self.head, fields) if change is not None else fields


async def _answer_head(
    client: Wire, request: RequestHead, upstream: Wire, upload: asyncio.Task[None] | None, timeouts: Timeouts
) -> _Answer:
    """The final answer's head; interim ones (1xx) are passed on as they come."""
    while True:
        try:
            raw = await _head_or_client_fault(upstream, upload, timeouts)
            if raw is None:
                raise UpstreamFailed("It closed the connection without an answer.", answered=False)
            head = parse_response(raw, request.method)
        except BadMessage as error:
            if error.status != 502:
                raise
            raise UpstreamFailed(error.detail, answered=True) from error
        except ConnectionEnded as error:
            raise UpstreamFailed("It broke off in the middle of its answer.", answered=True) from error
        except TimeoutError as error:
            raise UpstreamFailed("It did not answer in time.", answered=True, status=504) from error
        answer = _Answer(head)
        if head.status == 101:
            if request.upgrade is None or head.upgrade is None:
                raise UpstreamFailed("It changed protocol without being asked.", answered=True)
            return answer
        if head.status >= 200:
            return answer
        if request.minor == 1:
            _pass_head(client, answer, end_to_end(head.fields, head.named))


async def _head_or_client_fault(upstream: Wire, upload: asyncio.Task[None] | None, timeouts: Timeouts) -> bytes | None:
    """Wait for the upstream's head; the client's fault, if its body is broken or stalls, comes first.

    The time to answer runs from the end of the upload: a large file may take minutes to arrive.
    """
    try:
        if upload is None or upload.done():
            raw = await upstream.head(timeouts.answer, timeouts.answer)
        else:
            reading = asyncio.get_running_loop().create_task(upstream.head(None, timeouts.answer))
            try:
                await asyncio.wait({reading, upload}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done() and upload.exception() is None:
                    async with asyncio.timeout(timeouts.answer):
                        await asyncio.wait({reading})
                if not reading.done() or upload.done():
                    _raise_client_fault(upload)
                raw = await reading
            finally:
                if not reading.done():
                    reading.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await reading
    except SlowPeer as error:
        if upload is not None and upload.done() and not upload.cancelled() and upload.exception() is error:
            raise
        raise TimeoutError from error
    except BadMessage as error:
        if upload is not None and upload.done() and not upload.cancelled() and upload.exception() is error:
            raise
        raise BadMessage(error.detail, 502, "bad_answer") from error
    if raw is None and upload is not None and upload.done():
        _raise_client_fault(upload)
    return raw


def _raise_client_fault(upload: asyncio.Task[None]) -> None:
    if upload.done() and not upload.cancelled():
        error = upload.exception()
        if isinstance(error, BadMessage | SlowPeer):
            raise error


async def _upload(client: Wire, request: RequestHead, upstream: Wire, timeouts: Timeouts, allowed: Upload) -> None:
    """Copy the request's body. An upstream that stops taking it is not a fault: its answer says why."""
    body = BodyReader(request.body)
    chunked = request.body == CHUNKED
    size, now = 0, asyncio.get_running_loop().time
    # Only the time spent waiting for the client counts against it.
    waited = 0.0
    while True:
        began = now()
        piece = await client.payload(body, timeouts.body)
        waited += now() - began
        if not piece:
            break
        size += len(piece)
        if allowed.size and size > allowed.size:
            raise BadMessage("The request is too large.", 413, "too_large")
        if allowed.rate and waited > allowed.grace + size / allowed.rate:
            raise SlowPeer
        upstream.write(chunk(piece) if chunked else piece)
        try:
            await upstream.drain(timeouts.take)
        except (ConnectionEnded, SlowPeer):
            return
    if chunked:
        upstream.write(LAST_CHUNK)


async def _download(client: Wire, framing: int, upstream: Wire, *, chunked: bool, timeouts: Timeouts) -> None:
    """Copy the answer's body. Its silences are not limited: server-sent events may rest for long."""
    if framing == 0:
        return
    body = BodyReader(framing)
    try:
        while piece := await upstream.payload(body, None):
            client.write(chunk(piece) if chunked else piece)
            await client.drain(timeouts.take)
    except BadMessage as error:
        # Too late for another answer: breaking off tells the client that this one is not complete.
        raise ConnectionEnded from error
    if chunked:
        client.write(LAST_CHUNK)


def _pass_head(client: Wire, answer: _Answer, fields: list[Field]) -> None:
    client.write(write_head(b"HTTP/1.1 %d %b" % (answer.status, answer.head.reason), fields))


async def _tunnel(client: Wire, upstream: Wire) -> None:
    """Copy bytes both ways until either side closes."""
    loop = asyncio.get_running_loop()
    directions = [loop.create_task(pump(client, upstream)), loop.create_task(pump(upstream, client))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in directions:
            task.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def pump(source: Wire, sink: Wire, take: float = 60.0) -> None:
    """Copy bytes from `source` to `sink` until one of them closes or `sink` takes nothing for `take` seconds."""
    while True:
        if source.buffer:
            data = bytes(source.buffer)
            source.buffer.clear()
            sink.write(data)
            try:
                await sink.drain(take)
            except (ConnectionEnded, SlowPeer):
                return
        elif not await source.more(None):
            return
