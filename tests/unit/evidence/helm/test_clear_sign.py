"""The framing: the whole file is one signed block, whatever gpg and helm would find in it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import openpgp_world as world
from trustgate.evidence.helm import clear_sign
from trustgate.evidence.helm.clear_sign import MAX_LINES, MAX_PROVENANCE_BYTES, read_clear_signed
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused

KEY = world.pgp_key("ed25519")
TEXT = "apiVersion: v2\nname: web\n\n- a list\n-----dashes\ntrailing  \n...\nfiles: {}"
GOOD = world.clear_signed(TEXT, KEY)
SIGNATURE = GOOD[GOOD.index("-----BEGIN PGP SIGNATURE-----") :]
few = settings(max_examples=300, deadline=None)


def refusal(text: str | bytes) -> str:
    with pytest.raises(HelmRefused) as caught:
        read_clear_signed(text.encode() if isinstance(text, str) else text)
    return str(caught.value)


def test_what_is_read_is_what_was_signed() -> None:
    message = read_clear_signed(GOOD.encode())
    assert message.lines == (
        "apiVersion: v2",
        "name: web",
        "",
        "- a list",
        "-----dashes",
        "trailing",
        "...",
        "files: {}",
    )
    assert message.signed == "\r\n".join(message.lines).encode()
    assert message.signature.raw == KEY.signature(message.signed)
    assert (message.signature.algorithm, message.signature.hash_id) == (22, 10)


def test_line_ends_and_a_missing_last_one_change_nothing() -> None:
    plain = read_clear_signed(GOOD.encode())
    assert read_clear_signed(GOOD.replace("\n", "\r\n").encode()) == plain
    assert read_clear_signed(GOOD.rstrip("\n").encode()) == plain


def test_armor_may_lack_its_checksum_and_name_its_maker() -> None:
    signature = KEY.signature(read_clear_signed(GOOD.encode()).signed)
    head = GOOD.removesuffix(SIGNATURE)
    for armored in (
        world.armor(signature),
        world.armor(signature, headers="Version: GnuPG v1\nComment: of helm\n"),
    ):
        assert read_clear_signed((head + armored).encode()).signature.raw == signature


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda good: "EVIL\n" + good, "text before"),
        (lambda good: "\n" + good, "text before"),
        (lambda good: good + "EVIL\n", "text outside"),
        (lambda good: good + "\n \n", "text outside"),
        (lambda good: good + good, "has 2 lines '-----BEGIN PGP SIGNED MESSAGE-----'"),
        (lambda good: good + SIGNATURE, "has 2 lines '-----BEGIN PGP SIGNATURE-----'"),
        (lambda good: SIGNATURE, "detached signature"),
        (lambda good: "-----BEGIN PGP MESSAGE-----\n\nowGb\n-----END PGP MESSAGE-----\n", "inline-signed"),
        (lambda good: "hello\n", "begins with 'hello'"),
        (lambda good: _backwards(), "text outside"),
        (lambda good: "", "begins with ''"),
        (lambda good: good.removesuffix(SIGNATURE), "has 0 lines"),
        (lambda good: good.replace("-----END PGP SIGNATURE-----", ""), "has 0 lines"),
        (lambda good: good.replace("Hash: SHA512\n", ""), "must have one header"),
        (lambda good: good.replace("Hash: SHA512\n", "X: y\nHash: SHA512\n"), "must have one header"),
        (lambda good: good.replace("Hash: SHA512\n", "Hash: SHA512\nHash: SHA512\n"), "must have one header"),
        (lambda good: good.replace("Hash: SHA512\n", "Hash: SHA256,SHA512\n"), "must have one header"),
        (lambda good: good.replace("Hash: SHA512", "Hash: SHA512 "), "must have one header"),
        (lambda good: good.replace("Hash: SHA512\n", "NotDashEscaped: yes\n"), "must have one header"),
        (lambda good: good.replace("Hash: SHA512", "Hash: SHA256"), "says Hash: SHA256, and its"),
        (lambda good: good.replace("name: web", "name: web\f"), "control character U+000C"),
        (lambda good: good.replace("name: web", "name: web\0"), "control character U+0000"),
        (lambda good: good.replace("name: web", "name: w\reb"), "control character U+000D"),
        (lambda good: good.replace("name: web", "name: web\x85"), "control character U+0085"),
        (lambda good: good.replace("name: web", "name: \ufeffweb"), "control character U+FEFF"),
        (lambda good: good.replace("- - a list", "-a list"), "is not escaped"),
        (
            lambda good: good.replace("SIGNATURE-----\n\n", "SIGNATURE-----\n" + "Comment: a\n" * 9),
            "no empty line",
        ),
        (lambda good: good.replace("\n\n" + _first(good), "\n" + _first(good)), "has the header"),
        (lambda good: good.replace("SIGNATURE-----\n\n", "SIGNATURE-----\nEvil: x\n\n"), "has the header"),
        (lambda good: good.replace("SIGNATURE-----\n\n", "SIGNATURE-----\nHash: SHA1\n\n"), "has the header"),
        (lambda good: good.replace(_first(good), _first(good) + "!"), "not base64"),
        (lambda good: good.replace(_first(good), "A" * 80), "not base64"),
        (lambda good: good.replace("\n=", "\n=A"), "checksum does not match"),
        (lambda good: good.replace(_first(good), "AAAA" + _first(good)[4:]), "checksum does not match"),
        (lambda good: _armored(good, b""), "armor is empty"),
        (lambda good: _armored(good, KEY.signature(b"") * 2), "exactly one signature"),
        (lambda good: _armored(good, KEY.signature(b"")[:-3]), "cut off"),
        (lambda good: _armored(good, world.packet(11, b"literal")), "exactly one signature"),
        (lambda good: _armored(good, b"\x42junk"), "does not consist of OpenPGP packets"),
        (lambda good: _armored(good, b"\xc2\xe1x"), "indeterminate length"),
        (lambda good: _armored(good, b"\x8bx"), "indeterminate length"),
        (lambda good: _armored(good, b"\xc2\xff\0\0"), "cut off"),
        (lambda good: _armored(good, b"\x8a\0\0"), "cut off"),
        (lambda good: _armored(good, world.packet(2, b"\x04\x01")), "cut off"),
        (lambda good: _armored(good, KEY.signature(b"", kind=0)), "class 0x00"),
        (lambda good: _armored(good, KEY.signature(b"", kind=0x10)), "class 0x10"),
    ],
)
def test_every_other_framing_is_refused(edit: Callable[[str], str], why: str) -> None:
    assert why in refusal(edit(GOOD))


def _backwards() -> str:
    """Every line that frames, in another order."""
    return "\n".join((clear_sign.BEGIN_MESSAGE, clear_sign.END_SIGNATURE, clear_sign.BEGIN_SIGNATURE))


def _first(good: str) -> str:
    """The armor's first line."""
    return good.partition("SIGNATURE-----\n\n")[2].partition("\n")[0]


def _armored(good: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    body = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    head = good.removesuffix(SIGNATURE)
    return f"{head}-----BEGIN PGP SIGNATURE-----\n\n{body}-----END PGP SIGNATURE-----\n"


def test_other_versions_and_hashes_are_not_understood() -> None:
    for content in (
        world.packet(2, b"\x06" + bytes(40)),
        world.packet(2, b""),
        world.packet(2, b"\x04\x01\x16\x63" + bytes(40)),
    ):
        with pytest.raises(HelmNotUnderstood):
            read_clear_signed(_armored(GOOD, content).encode())


def test_short_packet_lengths_are_read() -> None:
    body = KEY.signature(b"")[6:]
    forms = [b"\xc2" + bytes([len(body)]) if len(body) < 192 else b"", b"\x89" + len(body).to_bytes(2)]
    forms.append(b"\x8a" + len(body).to_bytes(4))
    padded = body + bytes(300 - len(body))
    two = b"\xc2" + bytes([192 + ((300 - 192) >> 8), (300 - 192) & 255]) + padded
    for content in (*(form + body for form in forms if form), two):
        assert read_clear_signed(_armored(GOOD, content).encode()).signature.raw == content


def test_limits() -> None:
    assert "bytes, at most" in refusal(b"x" * (MAX_PROVENANCE_BYTES + 1))
    assert f"more than {MAX_LINES} lines" in refusal("\n" * MAX_LINES)
    assert "not UTF-8 at byte 2" in refusal(b"ab\xff")
    long = SIGNATURE.replace("\n\n", "\n\n" + "AAAA\n" * clear_sign._SIGNATURE_WITHIN_LINES)
    assert "signature block of more than" in refusal(GOOD.replace(SIGNATURE, long))


@few
@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with pytest.raises(HelmRefused):
        read_clear_signed(raw)


@few
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 4), st.text(max_size=4)), max_size=5))
def test_edits_of_a_good_one_are_refused_or_sign_other_text(edits: list[tuple[int, int, str]]) -> None:
    """Whatever is accepted is exactly the lines between, so a changed text is a changed question."""
    text = GOOD
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    try:
        message = read_clear_signed(text.encode("utf-8", "surrogatepass"))
    except HelmRefused:
        return
    shown = text.replace("\r\n", "\n").partition("\n\n")[2].partition("\n-----BEGIN PGP SIGNATURE")[0]
    lines = [line.removeprefix("- ").rstrip(" \t") for line in shown.split("\n")]
    assert message.signed == "\r\n".join(lines).encode()


@few
@given(st.text(alphabet=st.sampled_from("-.: \tab\né"), max_size=60))
def test_any_text_survives_signing(text: str) -> None:
    message = read_clear_signed(world.clear_signed(text, KEY).encode())
    assert message.lines == tuple(line.rstrip(" \t") for line in text.split("\n"))
