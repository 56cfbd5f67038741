"""gpg behind its door: what it says of real signatures, and what happens when it says nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from tests import openpgp_world as world
from tests.simulators.openpgp import OpenPgpSimulator
from trustgate.errors import KeyUnreadable, OpenPgpUnavailable
from trustgate.evidence.helm.question import OpenPgpQuestion, OpenPgpStatus
from trustgate.remote import gpg as room
from trustgate.remote.gpg import Gpg, GpgSigner
from trustgate.remote.gpg_status import MAX_STATUS_LINES, answer_from

needs_gpg = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg"
)
TEXT = b"a: 1\r\n...\r\nb: 2"


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    made = Gpg(tmp_path / "homes")
    yield made
    made.close()
    assert list((tmp_path / "homes").iterdir()) == []


def _question(key: world.PgpKey, text: bytes = TEXT, **more: object) -> OpenPgpQuestion:
    return OpenPgpQuestion(text, key.signature(text, **more))  # type: ignore[arg-type]


@needs_gpg
@pytest.mark.parametrize("kind", ["ed25519", "rsa2048", "rsa1024"])
@pytest.mark.parametrize("hash_id", [8, 10])
def test_gpg_and_the_simulator_say_the_same(gpg: Gpg, kind: str, hash_id: int) -> None:
    key, other = world.pgp_key(kind), world.pgp_key("ed25519", "other")
    simulator = OpenPgpSimulator({key.public(): key, other.public(): other})
    good = _question(key, hash_id=hash_id)
    bad = OpenPgpQuestion(b"another text", good.signature)
    for question in (good, bad, _question(key, at=world.NOW + timedelta(days=900))):
        for ring in (key.public(), other.public()):
            ours = gpg.verify(question, ring, at=world.NOW)
            theirs = simulator.verify(question, ring, at=world.NOW)
            assert (ours.status, ours.signature) == (theirs.status, theirs.signature)


@needs_gpg
def test_expired_and_revoked_keys_and_signatures(gpg: Gpg) -> None:
    key = world.pgp_key("ed25519")
    question = _question(key)
    short = key.public(lives=timedelta(days=21))
    end = world.MADE + timedelta(days=21)
    before = gpg.verify(question, short, at=end - timedelta(seconds=1))
    assert before.status is OpenPgpStatus.GOOD
    assert before.signature is not None
    assert before.signature.key_expires == end
    assert gpg.verify(question, short, at=end + timedelta(seconds=1)).status is OpenPgpStatus.KEY_EXPIRED
    assert gpg.verify(question, key.revoked(), at=world.NOW).status is OpenPgpStatus.KEY_REVOKED
    brief = _question(key, more=world.subpacket(3, (3600).to_bytes(4)))
    within = gpg.verify(brief, key.public(), at=world.SIGNED + timedelta(minutes=1))
    assert within.signature is not None
    assert within.signature.expires == world.SIGNED + timedelta(hours=1)
    assert gpg.verify(brief, key.public(), at=world.NOW).status is OpenPgpStatus.SIGNATURE_EXPIRED


@needs_gpg
def test_what_is_weak_or_nothing_at_all_is_not_good(gpg: Gpg) -> None:
    key = world.pgp_key("ed25519")
    assert (
        gpg.verify(_question(key, hash_id=2), key.public(), at=world.NOW).status is OpenPgpStatus.NOT_VERIFIED
    )
    signature = _question(key).signature
    for broken in (
        b"",
        b"junk",
        signature[:-10],
        world.packet(11, b"b\0\0\0\0\0text"),
        signature + signature,
    ):
        answer = gpg.verify(OpenPgpQuestion(TEXT, broken), key.public(), at=world.NOW)
        assert answer.status is not OpenPgpStatus.GOOD, broken[:10]
    assert gpg.verify(_question(key), b"no keyring", at=world.NOW).status is OpenPgpStatus.UNKNOWN_KEY


@needs_gpg
def test_homes_are_private_and_kept_and_pushed_out(
    gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_HOMES", 2)
    keys = [world.pgp_key("ed25519", str(number)) for number in range(3)]
    with ThreadPoolExecutor(4) as pool:
        asked = [
            (key, pool.submit(gpg.verify, _question(key), key.public(), at=world.NOW)) for key in keys * 4
        ]
    assert all(answer.result().status is OpenPgpStatus.GOOD for _, answer in asked)
    homes = list((tmp_path / "homes").iterdir())
    assert len(homes) == 2
    assert {stat.S_IMODE(home.stat().st_mode) for home in homes} == {0o700}
    assert not [path for home in homes for path in home.glob("question-*")]


def test_a_missing_gpg_is_no_answer_and_says_how_to_get_it(tmp_path: Path) -> None:
    key = world.pgp_key("ed25519")
    with pytest.raises(OpenPgpUnavailable) as caught:
        Gpg(tmp_path, binary="no-such-gpg").verify(_question(key), key.public(), at=world.NOW)
    assert "apt-get install gpg" in caught.value.hint
    with pytest.raises(OpenPgpUnavailable):
        GpgSigner(binary="no-such-gpg").clear_sign(b"a", key="k", passphrase=None)


@needs_gpg
def test_a_gpg_that_hangs_is_no_answer(tmp_path: Path) -> None:
    slow = tmp_path / "slow-gpg"
    real = shutil.which("gpg")
    slow.write_text(f'#!/bin/sh\ncase "$*" in *--verify*) exec sleep 60;; esac\nexec {real} "$@"\n')
    slow.chmod(0o755)
    hanging = Gpg(tmp_path / "homes", binary=str(slow), timeout_s=0.5)
    key = world.pgp_key("ed25519")
    with pytest.raises(OpenPgpUnavailable, match="did not answer within"):
        hanging.verify(_question(key), key.public(), at=world.NOW)
    hanging.close()


@needs_gpg
def test_gpg_is_told_to_ask_nobody(tmp_path: Path) -> None:
    told = tmp_path / "told"
    listening = tmp_path / "listening-gpg"
    listening.write_text(f'#!/bin/sh\necho "$*" >> {told}\nexec {shutil.which("gpg")} "$@"\n')
    listening.chmod(0o755)
    key = world.pgp_key("ed25519")
    gpg = Gpg(tmp_path / "homes", binary=str(listening))
    assert gpg.verify(_question(key), key.public(), at=world.NOW).status is OpenPgpStatus.GOOD
    gpg.close()
    (line,) = (line for line in told.read_text().splitlines() if "--verify" in line)
    for option in ("--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate", "--disable-dirmngr"):
        assert f"{option} " in line
    assert "--weak-digest SHA1" in line


@needs_gpg
def test_what_gpg_prints_for_people_is_no_status(tmp_path: Path) -> None:
    """CVE-2018-12020's class: lines on stderr that look like a good signature."""
    key = world.pgp_key("ed25519")
    lie = tmp_path / "lying-gpg"
    line = f"VALIDSIG {key.fingerprint} 2026-11-20 1 0 4 0 22 10 01 {key.fingerprint}"
    lines = f"[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG A b\\n[GNUPG:] {line}\\n"
    said = f'case "$*" in *--verify*) printf "{lines}" >&2; exit 0;; esac'
    lie.write_text(f'#!/bin/sh\n{said}\nexec {shutil.which("gpg")} "$@"\n')
    lie.chmod(0o755)
    lying = Gpg(tmp_path / "homes", binary=str(lie))
    assert lying.verify(_question(key), key.public(), at=world.NOW).status is OpenPgpStatus.NOT_VERIFIED
    lying.close()


# --- status lines --------------------------------------------------------------------------------

F = "2B2910C7178F720007CD2FC84DF7E02864953C3B"
GOOD = [
    ("NEWSIG", ""),
    ("GOODSIG", "4DF7E02864953C3B charts"),
    ("VALIDSIG", f"{F} 2026-11-23 1795427783 0 4 0 1 10 01 {F}"),
]


def test_a_good_status() -> None:
    answer = answer_from(GOOD, returncode=0, key_ends={})
    assert answer.status is OpenPgpStatus.GOOD
    assert answer.signature is not None
    assert (answer.signature.hash_id, answer.signature.signature_class) == (10, 1)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        GOOD[1:],
        GOOD[:2],
        [*GOOD, ("NEWSIG", "")],
        [*GOOD, *GOOD],
        [*GOOD, ("GOODSIG", "A b")],
        [*GOOD, ("BADSIG", "A b")],
        [*GOOD, GOOD[2]],
        [*GOOD, ("FAILURE", "verify 1")],
        [*GOOD, ("NODATA", "4")],
        [*GOOD, ("UNEXPECTED", "0")],
        [*GOOD, *[("KEY_CONSIDERED", F)] * MAX_STATUS_LINES],
        [*GOOD[:2], ("VALIDSIG", f"{F} 2026-11-23 1795427783 0 4 0 1 10 01")],
        [*GOOD[:2], ("VALIDSIG", f"{F[:-1]} 2026-11-23 1795427783 0 4 0 1 10 01 {F}")],
        [*GOOD[:2], ("VALIDSIG", f"{F} 2026-11-23 now 0 4 0 1 10 01 {F}")],
        [GOOD[0], ("ERRSIG", "4DF7E02864953C3B 1 2 01 1795427783 5 -")],
        [GOOD[0], ("ERRSIG", "")],
    ],
)
def test_any_other_status_is_not_good(lines: list[tuple[str, str]]) -> None:
    assert answer_from(lines, returncode=0, key_ends={}).status is OpenPgpStatus.NOT_VERIFIED


def test_an_exit_code_counts() -> None:
    assert answer_from(GOOD, returncode=2, key_ends={}).status is OpenPgpStatus.NOT_VERIFIED


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (("BADSIG", "A b"), OpenPgpStatus.BAD),
        (("EXPSIG", "A b"), OpenPgpStatus.SIGNATURE_EXPIRED),
        (("EXPKEYSIG", "A b"), OpenPgpStatus.KEY_EXPIRED),
        (("REVKEYSIG", "A b"), OpenPgpStatus.KEY_REVOKED),
        (("ERRSIG", "4DF7E02864953C3B 1 10 01 1795427783 9 -"), OpenPgpStatus.UNKNOWN_KEY),
    ],
)
def test_every_no_has_its_name(line: tuple[str, str], status: OpenPgpStatus) -> None:
    answer = answer_from([GOOD[0], line, GOOD[2]], returncode=1, key_ends={})
    assert (answer.status, answer.signature) == (status, None)


# --- signing -------------------------------------------------------------------------------------


@needs_gpg
def test_signing_needs_a_key_that_is_there() -> None:
    with pytest.raises(KeyUnreadable, match="no secret key"):
        GpgSigner(world.pgp_key("ed25519").public()).clear_sign(b"a", key="", passphrase=None)
    with pytest.raises(KeyUnreadable, match="is not a key's"):
        GpgSigner().clear_sign(b"a", key="--export-secret-keys", passphrase=None)


@needs_gpg
def test_signing_with_the_users_own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "empty"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    with pytest.raises(KeyUnreadable, match="did not sign"):
        GpgSigner().clear_sign(b"a", key="nobody@example.test", passphrase=None)
    with pytest.raises(KeyUnreadable, match="more than one line"):
        GpgSigner().clear_sign(b"a", key="nobody@example.test", passphrase="a\nb")
    assert os.environ["GNUPGHOME"] == str(home)
