"""What is read of a token before it is sent, and which mistakes are told before Fulcio tells them."""

from __future__ import annotations

import base64
import contextlib
import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_world import NOW
from trustgate.errors import InvalidInput
from trustgate.evidence.sigstore_signing.identity_token import MAX_TOKEN_CHARACTERS, read_identity_token

LATER = int((NOW + timedelta(minutes=5)).timestamp())


def token(**claims: Any) -> str:
    said = {"iss": "https://issuer.test", "sub": "job", "aud": "sigstore", "exp": LATER, **claims}
    kept = {key: value for key, value in said.items() if value is not None}
    body = base64.urlsafe_b64encode(json.dumps(kept).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{body}.c2ln"


def test_who_it_is_for() -> None:
    found = read_identity_token(token(), NOW)
    assert (found.issuer, found.subject, found.audience) == ("https://issuer.test", "job", "sigstore")
    assert found.raw not in repr(found)
    assert read_identity_token(token(email="a@b.test"), NOW).subject == "a@b.test"


def test_it_holds_until_its_last_second() -> None:
    read_identity_token(token(exp=int(NOW.timestamp()) + 1), NOW)
    with pytest.raises(InvalidInput, match="expired at 2027-01-10T12:00:00Z"):
        read_identity_token(token(exp=int(NOW.timestamp())), NOW)


@pytest.mark.parametrize("exp", [None, "soon", -1, 10**13, True if False else [1]])
def test_a_token_says_until_when(exp: Any) -> None:
    with pytest.raises(InvalidInput, match="until when"):
        read_identity_token(token(exp=exp), NOW)


@pytest.mark.parametrize("claims", [{"sub": None}, {"sub": ""}, {"sub": 1}, {"iss": None}, {"iss": {}}])
def test_a_token_names_issuer_and_subject(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="no issuer"):
        read_identity_token(token(**claims), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "a.!!.c",
        "a.bm8.c",
        "a.W10.c",
        "a.\u00e4.c",
        "a." + "x" * MAX_TOKEN_CHARACTERS + ".c",
    ],
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_identity_token(text, NOW)


def test_a_token_has_a_limit() -> None:
    for size in (MAX_TOKEN_CHARACTERS // 2, MAX_TOKEN_CHARACTERS * 3 // 4):
        text = token(more="x" * size)
        with pytest.raises(InvalidInput) if len(text) > MAX_TOKEN_CHARACTERS else contextlib.nullcontext():
            read_identity_token(text, NOW)


def test_many_dots_cost_no_memory() -> None:
    text = "." * 2_000_000
    tracemalloc.start()
    with pytest.raises(InvalidInput):
        read_identity_token(text, NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(text)


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for one in (text, f"a.{text}.c", "a." + base64.urlsafe_b64encode(text.encode()).decode() + ".c"):
        with contextlib.suppress(InvalidInput):
            read_identity_token(one, NOW)
