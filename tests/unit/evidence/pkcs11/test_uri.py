"""PKCS#11 URIs: what cosign and the usual tools write is read, nothing is guessed, and no PIN is told."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.errors import InvalidInput
from trustgate.evidence.pkcs11.uri import (
    MAX_URI_CHARACTERS,
    Pkcs11Uri,
    is_pkcs11_uri,
    read_pkcs11_uri,
)

KEY = "pkcs11:token=release;object=web"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SECRET = "s3cr3t-9137"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KEY, Pkcs11Uri(token="release", object="web")),
        (
            # cosign pkcs11-tool list-keys-uris
            f"pkcs11:token=My%20Token;slot-id=1;id=%4a%8d%2f;object=k?module-path={MODULE}&pin-value=1234",
            Pkcs11Uri(
                token="My Token",
                slot_id=1,
                id=b"\x4a\x8d\x2f",
                object="k",
                module_path=MODULE,
                pin_value="1234",
            ),
        ),
        (
            # p11tool --list-all-privkeys (GnuTLS 3.7.9)
            "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=35;token=t;id=%EE;object=d;type=private",
            Pkcs11Uri(
                model="SoftHSM v2",
                manufacturer="SoftHSM project",
                serial="35",
                token="t",
                id=b"\xee",
                object="d",
                type="private",
            ),
        ),
        (
            "PKCS11:slot-description=a;slot-manufacturer=b;slot-id=0;object=x=y&z",
            Pkcs11Uri(slot_description="a", slot_manufacturer="b", slot_id=0, object="x=y&z"),
        ),
        (f"{KEY}?pin-value=%23%2B?/|", Pkcs11Uri(token="release", object="web", pin_value="#+?/|")),
        (f"{KEY}?pin-source=/run/pin", Pkcs11Uri(token="release", object="web", pin_file="/run/pin")),
        (f"{KEY}?pin-source=file:/run/pin", Pkcs11Uri(token="release", object="web", pin_file="/run/pin")),
        (
            f"{KEY}?pin-source=file:///run/a%2520pin",
            Pkcs11Uri(token="release", object="web", pin_file="/run/a pin"),
        ),
    ],
)
def test_what_is_read(text: str, expected: Pkcs11Uri) -> None:
    assert read_pkcs11_uri(text) == expected
    assert is_pkcs11_uri(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a PKCS#11 URI"),
        ("cosign.key", "not a PKCS#11 URI"),
        ("pkcs11:", "no token or serial or slot-id"),
        ("pkcs11:object=web", "no token or serial or slot-id"),
        ("pkcs11:token=;object=web", "no token or serial or slot-id"),
        ("pkcs11:token=release", "no object or id"),
        (f"{KEY};", "not NAME=VALUE"),
        (f"{KEY};;id=%01", "not NAME=VALUE"),
        (f"{KEY};id", "not NAME=VALUE"),
        (f"{KEY};=x", "not NAME=VALUE"),
        (f"{KEY};id=", "id of the PKCS#11 URI is empty"),
        (f"{KEY};model=", "model of the PKCS#11 URI is empty"),
        (f"{KEY};token=other", "says token twice"),
        (f"{KEY}?pin-value=1&pin-value=2", "says pin-value twice"),
        (f"{KEY};colour=red", "'colour', which is not read"),
        (f"{KEY}?colour=red", "'colour', which is not read"),
        (f"{KEY};library-version=3.0", "'library-version', which is not read"),
        (f"{KEY}?module-name=softhsm2", "'module-name', which is not read"),
        (f"{KEY};pin-value={SECRET}", "'pin-value', which is not read"),
        (f"{KEY}?token=x", "'token', which is not read"),
        (f"{KEY}?module-path={MODULE};pin-value={SECRET}", "written as %XX"),
        ("pkcs11:token=a b;object=web", "written as %XX"),
        ("pkcs11:token=a+b;object=web", "written as %XX"),
        ("pkcs11:token=a%2;object=web", "written as %XX"),
        ("pkcs11:token=a%zz;object=web", "written as %XX"),
        ("pkcs11:token=\u00e4;object=web", "written as %XX"),
        ("pkcs11:token=a/b;object=web", "written as %XX"),
        (f"{KEY}\n", "written as %XX"),
        (f"{KEY}#x", "written as %XX"),
        ("pkcs11:token=%ff;object=web", "not printable UTF-8"),
        ("pkcs11:token=a%00;object=web", "not printable UTF-8"),
        (f"{KEY}?pin-value=%0a", "not printable UTF-8"),
        ("pkcs11:slot-id=x;object=web", "not a number"),
        ("pkcs11:slot-id=-1;object=web", "not a number"),
        ("pkcs11:slot-id=01;object=web", "not a number"),
        ("pkcs11:slot-id=%D9%A1;object=web", "not a number"),
        (f"pkcs11:slot-id={2**64};object=web", "not a number"),
        (f"{KEY};type=cert", "not that of a key"),
        (f"{KEY}?module-path=softhsm2.so", "not absolute"),
        (f"{KEY}?pin-value=1&pin-source=/a", "a pin-value and a pin-source"),
        (f"{KEY}?pin-source=|/bin/pin", "programs are not run"),
        (f"{KEY}?pin-source=pin", "not an absolute file"),
        (f"{KEY}?pin-source=file://host/pin", "not an absolute file"),
        (f"{KEY}?pin-source=https://host/pin", "not an absolute file"),
        (f"{KEY}?pin-source=file://[", "not an absolute file"),
        (f"{KEY}?pin-source=file:/pin%23x", "not an absolute file"),
        (f"{KEY}?pin-source=http:/run/pin", "not an absolute file"),
        (f"{KEY}?pin-source=file:/run/%2500", "not an absolute file"),
        (f"{KEY}?pin-source=file:pin", "not an absolute file"),
        (f"{KEY}?pin-source=file:/pin%3Fx", "not an absolute file"),
        (f"{KEY};id={'%01' * 2000}", f"at most {MAX_URI_CHARACTERS}"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_pkcs11_uri(text)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}?pin-value={SECRET}",
        f"{KEY}?pin-value={SECRET}&pin-source=/a",
        f"{KEY}?pin-value={SECRET}%00",
        f"{KEY}?pin-value={SECRET} ",
        f"{KEY}?pin-value={SECRET}&pin-value={SECRET}",
        f"{KEY}?pin-valeu={SECRET}",
        f"{KEY}?{SECRET}",
        f"{KEY};pin-value={SECRET}",
        f"pkcs11:object=web?pin-value={SECRET}",
        f"PKCS11:token=release?pin-value={SECRET}",
        f"{KEY}?pin-source={SECRET}",
    ],
)
def test_no_pin_is_told(text: str) -> None:
    try:
        uri = read_pkcs11_uri(text)
        told = f"{uri} {uri!r}"
    except InvalidInput as exc:
        told = f"{exc.message} {exc.detail} {exc.hint}"
    assert SECRET not in told


TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20)
PRINTABLE = TEXT.filter(str.isprintable)


@given(PRINTABLE, PRINTABLE, st.binary(min_size=1, max_size=20), PRINTABLE)
def test_every_name_can_be_written(token: str, label: str, identifier: bytes, pin: str) -> None:
    written = f"pkcs11:token={quote(token)};object={quote(label, safe='')};id={quote(identifier, safe='')}"
    written = written.replace("/", "%2F") + f"?pin-value={quote(pin)}"
    found = read_pkcs11_uri(written)
    assert (found.token, found.object, found.id, found.pin_value) == (token, label, identifier, pin)
    again = read_pkcs11_uri(str(found))
    assert (again.token, again.object, again.id, again.pin_value) == (token, label, identifier, None)
    assert str(again) == str(found)


NAMES = ("token", "object", "id", "slot-id", "type", "module-path", "pin-value", "pin-source")
PIECES = st.sampled_from([f"{name}=" for name in NAMES]) | st.sampled_from("?&;%=1a/[|+\0\u00fc")
WORDS = st.sampled_from(["%41", "%ff", "file:", "//", "private"])


@given(st.one_of(st.text(), st.lists(PIECES | WORDS).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_pkcs11_uri("pkcs11:" + text)
    except InvalidInput:
        return
    assert found.object or found.id
    assert found.token or found.serial or found.slot_id is not None
    assert str(found).isascii()
