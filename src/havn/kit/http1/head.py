"""Reading and writing the head of a request or an answer, strictly (RFC 9110 section 5, RFC 9112 sections 2 to 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

MAX_HEAD = 32 * 1024
MAX_LINE = 8 * 1024
MAX_FIELDS = 100

# Framing of a body: a number of bytes, or one of these.
CHUNKED = -1
UNTIL_CLOSE = -2

Field = tuple[bytes, bytes]

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
# Name, colon, value without surrounding blanks. No blank before the colon, no fold, no NUL, CR or LF in the value.
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
                    rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*")  # fmt: skip
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_TOKEN_LIST = re.compile(rb"[ \t]*,[ \t]*")

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"http2-settings", b"proxy-authenticate", b"proxy-authorization")
)  # fmt: skip


class BadMessage(Exception):
    """The other side's bytes are not a message we accept; `status` is what a client is to be told."""

    def __init__(self, detail: str, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code


class RequestHead(msgspec.Struct, frozen=True):
    """A request line and its fields; field names in lower case, in the order they came."""

    method: bytes
    target: bytes
    minor: int
    fields: list[Field]
    host: bytes
    body: int
    """Bytes of body, or CHUNKED."""
    keep_alive: bool
    upgrade: bytes | None = None
    """The protocol asked for with `Connection: upgrade`, in lower case."""
    named: frozenset[bytes] = frozenset()
    """The fields that `Connection` names, to be dropped when passing on."""

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that (lower case) name."""
        return next((value for key, value in self.fields if key == name), None)


class ResponseHead(msgspec.Struct, frozen=True):
    """A status line and its fields."""

    status: int
    reason: bytes
    minor: int
    fields: list[Field]
    body: int
    """Bytes of body, CHUNKED or UNTIL_CLOSE."""
    keep_alive: bool
    upgrade: bytes | None = None
    named: frozenset[bytes] = frozenset()


def parse_request(head: bytes) -> RequestHead:
    """Read the bytes before the empty line (without it). Raises `BadMessage` with 400, 414, 417, 431, 501 or 505."""
    line, _, rest = head.partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if len(line) > MAX_LINE:
            raise BadMessage("The request line is too long.", 414, "target_too_long")
        if re.search(rb" HTTP/[0-9.]+$", line) and not re.search(rb" HTTP/1\.[01]$", line):
            raise BadMessage("Only HTTP/1.1 is spoken here.", 505, "version_not_supported")
        raise BadMessage("The request line is not valid.")
    if len(line) > MAX_LINE:
        raise BadMessage("The request line is too long.", 414, "target_too_long")
    minor = 1 if match[3] == b"1" else 0
    fields = _fields(rest)
    host: bytes | None = None
    length: bytes | None = None
    coding: bytes | None = None
    upgrade: bytes | None = None
    named: set[bytes] = set()
    for name, value in fields:
        if name == b"host":
            if host is not None or _HOST.fullmatch(value) is None:
                raise BadMessage("There must be exactly one valid Host.")
            host = value
        elif name == b"content-length":
            if length is not None or _LENGTH.fullmatch(value) is None:
                raise BadMessage("Content-Length must be one number, given once.")
            length = value
        elif name == b"transfer-encoding":
            if coding is not None:
                raise BadMessage("Transfer-Encoding must be given once.")
            coding = value.lower()
        elif name == b"connection":
            named.update(_tokens(value))
        elif name == b"upgrade":
            upgrade = value.lower()
        elif name == b"expect" and value.lower() != b"100-continue":
            raise BadMessage("This expectation is not supported.", 417, "expectation_failed")
    if host is None:
        raise BadMessage("There must be exactly one valid Host.")
    if coding is not None:
        if length is not None:
            raise BadMessage("Content-Length and Transfer-Encoding exclude each other.")
        if minor == 0:
            raise BadMessage("HTTP/1.0 has no Transfer-Encoding.")
        if coding != b"chunked":
            raise BadMessage("The only transfer coding understood is chunked.", 501, "coding_not_supported")
    return RequestHead(
        method=match[1],
        target=match[2],
        minor=minor,
        fields=fields,
        host=host,
        body=CHUNKED if coding is not None else int(length or 0),
        keep_alive=minor == 1 and b"close" not in named,
        upgrade=upgrade if b"upgrade" in named and minor == 1 else None,
        named=frozenset(named),
    )


def parse_response(head: bytes, method: bytes) -> ResponseHead:
    """Read an answer's head; `method` is that of the request, which decides whether there is a body.

    Raises `BadMessage` with 502.
    """
    line, _, rest = head.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise _bad_answer("its status line is not valid")
    status, minor = int(match[2]), 1 if match[1] == b"1" else 0
    try:
        fields = _fields(rest)
    except BadMessage as error:
        raise _bad_answer("one of its header fields is not valid") from error
    length: bytes | None = None
    coding: bytes | None = None
    upgrade: bytes | None = None
    named: set[bytes] = set()
    for name, value in fields:
        if name == b"content-length":
            if (length is not None and length != value) or _LENGTH.fullmatch(value) is None:
                raise _bad_answer("its Content-Length is not one number")
            length = value
        elif name == b"transfer-encoding":
            coding = value.lower() if coding is None else b"twice"
        elif name == b"connection":
            named.update(_tokens(value))
        elif name == b"upgrade":
            upgrade = value.lower()
    if coding is not None and (coding != b"chunked" or length is not None or minor == 0):
        raise _bad_answer("its body has no clear end")
    if status < 200 or status in (204, 304) or method == b"HEAD":
        body = 0
    elif coding is not None:
        body = CHUNKED
    else:
        body = int(length) if length is not None else UNTIL_CLOSE
    return ResponseHead(
        status=status,
        reason=match[3] or b"",
        minor=minor,
        fields=fields,
        body=body,
        keep_alive=minor == 1 and b"close" not in named and body != UNTIL_CLOSE,
        upgrade=upgrade if b"upgrade" in named else None,
        named=frozenset(named),
    )


def write_head(first: bytes, fields: Iterable[Field]) -> bytes:
    """`first` (request or status line) and `fields` as bytes, with the empty line."""
    lines = [first]
    lines += [b"%b: %b" % field for field in fields]
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def end_to_end(fields: Sequence[Field], named: frozenset[bytes]) -> list[Field]:
    """`fields` without those that belong to one hop: the fixed ones, and those that Connection names."""
    dropped = HOP_BY_HOP | named if named else HOP_BY_HOP
    return [field for field in fields if field[0] not in dropped]


def _fields(block: bytes) -> list[Field]:
    if not block:
        return []
    lines = block.split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise BadMessage(f"There are more than {MAX_FIELDS} header fields.", 431, "too_many_headers")
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadMessage("A header field is not valid.")
        fields.append((match[1].lower(), match[2]))
    return fields


def _tokens(value: bytes) -> list[bytes]:
    return [token for token in _TOKEN_LIST.split(value.lower()) if token]


def _bad_answer(what: str) -> BadMessage:
    return BadMessage(f"The answer from behind could not be used: {what}.", 502, "bad_answer")
