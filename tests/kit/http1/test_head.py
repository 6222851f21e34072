"""Heads: what is read, and everything that two readers might read differently refused."""

import pytest

from havn.kit.http1.head import (
    CHUNKED,
    UNTIL_CLOSE,
    BadMessage,
    end_to_end,
    parse_request,
    parse_response,
    write_head,
)

HOST = b"Host: ttd.apps.havn.localhost:8000"


def request(*lines: bytes, first: bytes = b"POST /first HTTP/1.1") -> bytes:
    return b"\r\n".join((first, *lines))


def test_a_plain_request_is_read_with_its_fields_in_order():
    head = parse_request(request(HOST, b"Accept: text/html", b"X-Two:  a b \t", first=b"GET /a?b=1 HTTP/1.1"))
    assert (head.method, head.target, head.minor) == (b"GET", b"/a?b=1", 1)
    assert head.fields[1:] == [(b"accept", b"text/html"), (b"x-two", b"a b")]
    assert head.body == 0
    assert head.keep_alive


def test_a_body_is_a_length_or_chunked():
    assert parse_request(request(HOST, b"Content-Length: 12")).body == 12
    assert parse_request(request(HOST, b"Transfer-Encoding: Chunked")).body == CHUNKED


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((HOST, b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
        ((HOST, b"Content-Length: 1", b"Content-Length: 2"), 400),
        ((HOST, b"Content-Length: 1", b"Content-Length: 1"), 400),
        ((HOST, b"Content-Length: 1, 1"), 400),
        ((HOST, b"Content-Length: +1"), 400),
        ((HOST, b"Content-Length: -1"), 400),
        ((HOST, b"Content-Length: 0x1"), 400),
        ((HOST, b"Content-Length: 1_0"), 400),
        ((HOST, "Content-Length: ٣".encode()), 400),
        ((HOST, b"Content-Length:"), 400),
        ((HOST, b"Content-Length: 9999999999999999999"), 400),
        ((HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        ((HOST, b"Transfer-Encoding: chunked, identity"), 501),
        ((HOST, b"Transfer-Encoding: gzip, chunked"), 501),
        ((HOST, b"Transfer-Encoding: xchunked"), 501),
        ((HOST, b"Transfer-Encoding: \x0bchunked"), 400),
        ((HOST, b"Transfer-Encoding : chunked"), 400),
        ((HOST, b" Transfer-Encoding: chunked"), 400),
        ((HOST, b"X: 1", b" folded"), 400),
        ((HOST, b"X: 1", b"\tfolded"), 400),
        ((HOST, b"X: a\nTransfer-Encoding: chunked"), 400),
        ((HOST, b"X: a\rb"), 400),
        ((HOST, b"X: a\0b"), 400),
        ((HOST, b": nameless"), 400),
        ((HOST, b"no colon"), 400),
        ((HOST, b"Na me: x"), 400),
        ((HOST, b'Na"me: x'), 400),
        ((HOST, "Nåme: x".encode()), 400),
        ((HOST, HOST), 400),
        ((), 400),
        ((b"Host: a b",), 400),
        ((b"Host: a@b",), 400),
        ((b"Host: a/b",), 400),
        ((b"Host: a:b",), 400),
        ((b"Host: ",), 400),
        ((HOST, b"Expect: something"), 417),
        ((HOST, *(b"X-%d: 1" % number for number in range(120))), 431),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(lines, status):
    with pytest.raises(BadMessage) as caught:
        parse_request(request(*lines))
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET /\tx HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET /", 400),
        (b"GET / http/1.1", 400),
        (b"G{}T / HTTP/1.1", 400),
        (b"GET /#part HTTP/1.1", 400),
        ("GET /å HTTP/1.1".encode(), 400),
        (b"GET /\0 HTTP/1.1", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414),
        (b"\x16\x03\x01\x02", 400),
    ],
)
def test_a_request_line_must_be_exact(line, status):
    with pytest.raises(BadMessage) as caught:
        parse_request(request(HOST, first=line))
    assert caught.value.status == status


def test_http_1_0_has_no_chunks_and_is_not_kept_alive():
    with pytest.raises(BadMessage):
        parse_request(request(HOST, b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"))
    assert not parse_request(request(HOST, b"Connection: keep-alive", first=b"GET / HTTP/1.0")).keep_alive


def test_fields_of_one_hop_are_dropped_also_those_that_connection_names():
    head = parse_request(
        request(HOST, b"Connection: close, X-Mine", b"X-Mine: 1", b"Keep-Alive: 5", b"TE: trailers", b"Accept: a/b")
    )
    assert end_to_end(head.fields, head.named) == [(b"host", HOST.removeprefix(b"Host: ")), (b"accept", b"a/b")]
    assert not head.keep_alive


def test_an_upgrade_needs_connection_to_name_it():
    assert parse_request(request(HOST, b"Upgrade: websocket")).upgrade is None
    assert (
        parse_request(request(HOST, b"Upgrade: WebSocket", b"Connection: keep-alive, Upgrade")).upgrade == b"websocket"
    )


def test_an_answer_says_how_its_body_ends():
    def body(*lines: bytes, method: bytes = b"GET", status: bytes = b"200 OK") -> int:
        return parse_response(b"\r\n".join((b"HTTP/1.1 " + status, *lines)), method).body

    assert body(b"Content-Length: 5") == 5
    assert body(b"Content-Length: 5", b"Content-Length: 5") == 5
    assert body(b"Transfer-Encoding: chunked") == CHUNKED
    assert body() == UNTIL_CLOSE
    assert body(b"Content-Length: 5", method=b"HEAD") == 0
    assert body(b"Content-Length: 5", status=b"304 Not Modified") == 0
    assert body(status=b"204 No Content") == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\nb",
        b"HTTP/1.1 20 OK",
        b"HTTP/2 200 OK",
        b"garbage",
    ],
)
def test_an_answer_without_a_clear_end_is_refused(answer):
    with pytest.raises(BadMessage) as caught:
        parse_response(answer, b"GET")
    assert caught.value.status == 502


def test_a_head_is_written_as_it_is_read():
    written = write_head(b"GET / HTTP/1.1", [(b"host", b"a"), (b"x", b"1")])
    assert written == b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n\r\n"
    assert parse_request(written.removesuffix(b"\r\n\r\n")).fields == [(b"host", b"a"), (b"x", b"1")]
