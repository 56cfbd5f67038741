"""Digests, names, references and JSON: what is well formed, and nothing else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.errors import DigestInvalid, InvalidInput, NameInvalid, ReferenceInvalid, TagInvalid
from trustgate.oci.digest import Digest
from trustgate.oci.names import Reference, RepositoryName, Tag, tag_or_digest
from trustgate.oci.strict_json import MAX_VALUES, JsonRefused, loads

HEX = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{'A' * 64}",
        f"md5:{'a' * 32}",
        f"sha512:{HEX}",
        f"sha256:{'g' * 64}",
        f" sha256:{HEX}",
        f"sha256:{HEX}\n",
        f"SHA256:{HEX}",
    ],
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest(text)


def test_digests() -> None:
    digest = Digest.of(b"x")
    assert Digest(str(digest)) == digest
    assert (digest.algorithm, len(digest.hex), digest.short) == ("sha256", 64, str(digest)[:19])
    assert len(Digest.of(b"x", "sha512").hex) == 128


@pytest.mark.parametrize("text", ["a", "shop/web", "a.b/c_d/e__f/g-h--i", "a" * 255, "0/1"])
def test_names(text: str) -> None:
    assert RepositoryName(text) == text
    assert RepositoryName(text).project == text.split("/", maxsplit=1)[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "A",
        "a..b",
        "../a",
        "a/../b",
        "a_.b",
        "-a",
        "a-",
        "a" * 256,
        "a b",
        "a%2fb",
        "ä",
        "a\n",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(NameInvalid):
        RepositoryName(text)


@pytest.mark.parametrize("text", ["1", "v1.0-rc_1", "_x", "A" * 128])
def test_tags(text: str) -> None:
    assert tag_or_digest(text) == Tag(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "A" * 129, "a/b", "a b", "a\n", "ä"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(TagInvalid):
        Tag(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost/a", ("localhost", "a", None, None)),
        ("localhost:5080/shop/web:1", ("localhost:5080", "shop/web", "1", None)),
        (f"r.example.com/a@sha256:{HEX}", ("r.example.com", "a", None, f"sha256:{HEX}")),
        (f"[::1]:80/a:b@sha256:{HEX}", ("[::1]:80", "a", "b", f"sha256:{HEX}")),
    ],
)
def test_references(text: str, parts: tuple[str | None, ...]) -> None:
    found = Reference.parse(text)
    assert (found.host, found.repository, found.tag, found.digest) == parts
    assert str(found) == text
    assert found.target == (found.digest or found.tag or "latest")


@pytest.mark.parametrize(
    "text", ["", "web", "shop/web:1", "ex ample.com/a", "host:port/a", "-x.com/a", "a.b:999999/x"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ReferenceInvalid):
        Reference.parse(text)


@given(st.text(max_size=300))
def test_any_text_is_a_word_or_refused(text: str) -> None:
    for read in (Digest, RepositoryName, Tag, tag_or_digest, Reference.parse):
        with contextlib.suppress(InvalidInput):
            read(text)


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": 1, "A": 2}', "twice"),
        (b'[{"x": {"\xc3\x9f": 1, "ss": 2}}]', "twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b"[-1e999]", "too large"),
        (b"[-Infinity]", "Infinity"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "deeper"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper"),
        (b"[" + b"1" * 21 + b"]", "digits"),
        (b"{} x", "JSON"),
        (b"", "JSON"),
        (b"{'a': 1}", "JSON"),
        (rb'{"a": "\ud800"}', "surrogate"),
        (rb'{"\uDFFF": 1}', "surrogate"),
        (rb'["\udc00\ud800"]', "surrogate"),
        (rb'["\\\ud800"]', "surrogate"),
        (b" " * 2000, "bytes"),
    ],
)
def test_json_with_two_meanings_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(JsonRefused, match=why):
        loads(raw, max_bytes=1000 if why == "bytes" else 100_000)


def test_a_string_without_end_costs_no_more_than_its_length() -> None:
    """Each quote in it once began a search to the end of the document: hours for a megabyte."""
    raw = b"[" * 65 + b'"' + b'\\"' * 500_000
    with pytest.raises(JsonRefused, match="nested deeper"):
        loads(raw, max_bytes=2_000_000)
    raw = b'["[", ' * 40 + b'"' + b'\\"' * 500_000
    with pytest.raises(JsonRefused, match="not JSON"):
        loads(raw, max_bytes=2_000_000)


@pytest.mark.parametrize("one", [b"[[]],", b"0,", b'{"a":0},', b'",",'])
def test_many_values_are_refused_before_they_are_made(one: bytes) -> None:
    """Sixteen megabytes of empty lists would take gigabytes."""
    raw = b"[" + one * MAX_VALUES + b"0]"
    with pytest.raises(JsonRefused, match="more than 1000000 values"):
        loads(raw, max_bytes=len(raw))


def test_what_stands_in_strings_is_no_value() -> None:
    raw = b'["' + b",[{" * MAX_VALUES + b'"]'
    assert loads(raw, max_bytes=len(raw)) == [",[{" * MAX_VALUES]


def test_brackets_inside_strings_do_not_count() -> None:
    document = {"a": "[{" * 500, "b": '\\"[', "c": ["]"] * 100}
    assert loads(json.dumps(document).encode(), max_bytes=10_000) == document


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(), st.lists, max_leaves=20
    )
)
def test_plain_json_is_read_as_it_is(value: object) -> None:
    assert loads(json.dumps(value).encode(), max_bytes=100_000) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    with contextlib.suppress(JsonRefused):
        loads(raw, max_bytes=1000)
