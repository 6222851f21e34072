"""Where bodies end, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.kit.http1.body import LAST_CHUNK, BodyReader, chunk
from havn.kit.http1.head import CHUNKED, UNTIL_CLOSE, BadMessage


def feed(reader: BodyReader, data: bytes, sizes: list[int]) -> tuple[bytes, bytes]:
    """Give `data` in pieces of these sizes; the payload read, and what is left over."""
    buffer, payload = bytearray(), b""
    while data:
        size = sizes.pop(0) if sizes else len(data)
        buffer += data[:size]
        data = data[size:]
        payload += reader.take(buffer)
    return payload, bytes(buffer)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.lists(st.integers(1, 50)), st.binary(max_size=20))
def test_chunks_come_out_as_they_went_in_however_they_are_cut(pieces, sizes, rest):
    encoded = b"".join(map(chunk, pieces)) + LAST_CHUNK + rest
    reader = BodyReader(CHUNKED)
    payload, left = feed(reader, encoded, sizes)
    assert payload == b"".join(pieces)
    assert left == rest
    assert reader.done


@given(st.binary(max_size=100), st.binary(max_size=20), st.lists(st.integers(1, 20)))
def test_a_length_takes_so_many_bytes_and_no_more(body, rest, sizes):
    reader = BodyReader(len(body))
    assert feed(reader, body + rest, sizes) == (body, rest)
    assert reader.done


def test_a_body_without_length_ends_with_the_connection():
    reader = BodyReader(UNTIL_CLOSE)
    assert feed(reader, b"all of it", [3]) == (b"all of it", b"")
    assert not reader.done
    assert reader.ended()


def test_chunk_extensions_and_trailers_are_dropped():
    reader = BodyReader(CHUNKED)
    payload, left = feed(reader, b'3;name="x"\r\nabc\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\nGET', [])
    assert (payload, left) == (b"abc", b"GET")
    assert reader.done


@pytest.mark.parametrize(
    "data",
    [
        b"g\r\n",
        b"-1\r\n",
        b"+3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3_0\r\n",
        b"\r\n",
        b"3\nabc\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc\rX",
        b"3;\0\r\nabc\r\n",
        b"3;" + b"x" * 400,
        b"f" * 16 + b"\r\n",
        b"0\r\n" + b"X: " + b"y" * 9000,
        b"0\r\n" + b"X: y\r\n" * 2000,
    ],
)
@pytest.mark.parametrize("sizes", [[], [1] * 20_000])
def test_a_broken_chunk_is_refused(data, sizes):
    with pytest.raises(BadMessage):
        feed(BodyReader(CHUNKED), data, list(sizes))
