"""Refusals: a problem document (RFC 9457) that says what is missing, and the same in the status line for tunnels."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.kit.http1.head import Field, write_head
from havn.kit.problem import MEDIA_TYPE, Problem

# A client that fails to open a tunnel rarely shows the body, but nearly always the status line.
_MAX_REASON = 200


class Refused(Exception):
    """The request ends here with this answer; `result` and `reason` go to the decision log."""

    def __init__(
        self, status: int, code: str, detail: str, *, result: str = "deny", add: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.result = result
        self.add = add
        self.retry_after = retry_after


def answer(refused: Refused, trace_id: str, *, close: bool, with_body: bool = True) -> bytes:
    """The bytes of the answer."""
    extensions: dict[str, Any] = {"traceId": trace_id} | ({"add": refused.add} if refused.add else {})
    problem = Problem(refused.status, refused.detail, code=refused.code, **extensions)
    body = msgspec.json.encode(problem.document())
    fields: list[Field] = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"havn-egress-error", refused.code.encode()),
    ]
    if refused.status == 407:
        fields.append((b"proxy-authenticate", b'Bearer realm="egress"'))
    if refused.retry_after:
        fields.append((b"retry-after", b"%d" % refused.retry_after))
    if close:
        fields.append((b"connection", b"close"))
    said = f"{problem.title}: {refused.detail}" + (f" Add: {refused.add}" if refused.add else "")
    reason = "".join(mark if " " <= mark <= "~" else "?" for mark in said)[:_MAX_REASON]
    return write_head(b"HTTP/1.1 %d %b" % (refused.status, reason.encode()), fields) + (body if with_body else b"")
