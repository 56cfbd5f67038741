"""CBOR with one meaning: what is refused, and that the library agrees on what is not."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustgate.evidence.notation.cbor import MAX_DEPTH, CborRefused, Tagged, loads

LIMIT = 1 << 16


def read(raw: bytes) -> Any:
    return loads(raw, max_bytes=LIMIT)


def test_each_kind() -> None:
    value = {1: -7, "a": [b"x", "y", True, False, None, 2**64 - 1, -(2**64)], -3: {}}
    assert read(cbor2.dumps(value)) == value
    assert read(cbor2.dumps(cbor2.CBORTag(18, [1]))) == Tagged(18, [1])
    assert read(bytes.fromhex("1800")) == 0  # longer than it has to be, and still one number


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "middle of an item"),
        (b"\x18", "middle of an item"),
        (b"\x42a", "middle of an item"),
        (b"\x82\x01", "middle of an item"),
        (b"\x9b" + b"\xff" * 8, "middle of an item"),
        (b"\xbb" + b"\xff" * 8, "middle of an item"),
        (b"\x5b" + b"\xff" * 8, "middle of an item"),
        (b"\x01\x01", "goes on after its end"),
        (b"\x9f\x01\xff", "indefinite length"),
        (b"\xbf\xff", "indefinite length"),
        (b"\x5f\x41a\xff", "indefinite length"),
        (b"\x7f\x61a\xff", "indefinite length"),
        (b"\x1c", "indefinite length"),
        (b"\xa2\x01\x01\x01\x02", "twice in one map"),
        (b"\xa2\x01\x01\x18\x01\x02", "twice in one map"),
        (b"\xa1\x41a\x01", "neither an integer nor text"),
        (b"\xa1\xf5\x01", "neither an integer nor text"),
        (b"\xa1\x80\x01", "neither an integer nor text"),
        (b"\x61\xff", "not UTF-8"),
        (b"\xf9\x3c\x00", "with a fraction or a simple value"),
        (b"\xfb" + b"\0" * 8, "with a fraction or a simple value"),
        (b"\xf7", "with a fraction or a simple value"),
        (b"\xf8\xff", "with a fraction or a simple value"),
        (b"\xff", "with a fraction or a simple value"),
        (b"\x81" * (MAX_DEPTH + 1) + b"\x01", "nested deeper"),
        (b"\xc1" * 60_000 + b"\x01", "nested deeper"),
        (b"\x00" * (LIMIT + 1), "are read"),
    ],
)
def test_what_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(CborRefused, match=reason):
        read(raw)


SCALARS = (
    st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.booleans()
    | st.none()
)
KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


@given(VALUES)
def test_what_the_library_writes_is_read_back(value: Any) -> None:
    if depth(value) <= MAX_DEPTH:
        assert read(cbor2.dumps(value)) == value


@settings(max_examples=500)
@given(st.binary(max_size=120))
def test_any_bytes_are_read_as_the_library_reads_them_or_refused(raw: bytes) -> None:
    try:
        found = read(raw)
    except CborRefused:
        return
    if not _tagged(found):  # tags are the library's to interpret; here they stay what they are
        assert found == cbor2.loads(raw)


def _tagged(value: Any) -> bool:
    if isinstance(value, Tagged):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_tagged, inner))
