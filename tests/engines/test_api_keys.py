"""The form of managed keys: recognised, mistyped, compared."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines import api_keys


def _made() -> api_keys.ParsedKey:
    return api_keys.make(os.urandom(api_keys.PREFIX_BYTES), os.urandom(api_keys.SECRET_BYTES))


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=32, max_size=32))
def test_every_key_is_recognised_by_its_form(prefix: bytes, secret: bytes) -> None:
    key = api_keys.make(prefix, secret)
    assert len(key.text) == api_keys.LENGTH
    assert api_keys.parse(key.text) == key


@given(st.integers(0, api_keys.LENGTH - 1), st.sampled_from("0Zz_"))
def test_a_mistyped_key_is_told_without_asking_anybody(place: int, sign: str) -> None:
    key = _made().text
    wrong = key[:place] + sign + key[place + 1 :]
    assert (api_keys.parse(wrong) is None) == (wrong != key)


@pytest.mark.parametrize("text", ["", "havn_", "x" * api_keys.LENGTH, "havn_" + "é" * 62, "havn_" + "0" * 100_000])
def test_what_is_no_key_is_none(text: str) -> None:
    assert api_keys.parse(text) is None


def test_a_digest_belongs_to_one_key_and_one_salt_and_shows_neither() -> None:
    key, other, salt = _made(), _made(), os.urandom(16)
    stored = api_keys.digest(key, salt)
    assert api_keys.matches(key, salt, stored)
    assert not api_keys.matches(other, salt, stored)
    assert not api_keys.matches(key, os.urandom(16), stored)
    assert key.text not in repr(key)


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        api_keys.make(b"", os.urandom(32))
