"""The same files to helm 3, helm 4 and us: never laxer than either, and each difference is named.

``UPDATE_GOLDEN=1`` writes ``golden/stricter-than-helm.md`` anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import openpgp_world as pgp
from tests.clients.catalog import require
from tests.interop.test_helm import HELMS, judged
from tests.interop.world import GOLDEN, World
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.trust import gpg_trust
from trustgate.evidence.model import Outcome

pytestmark = pytest.mark.interop

KEY, ED, WEAK, OTHER = (
    pgp.pgp_key(kind, name)
    for kind, name in (("rsa2048", "charts"), ("ed25519", "ed"), ("rsa1024", "weak"), ("rsa2048", "other"))
)
PACKAGE = pgp.package()
BODY = pgp.provenance_body(PACKAGE)
GOOD = pgp.clear_signed(BODY, KEY)
HEAD, ARMOR = GOOD[: GOOD.index("-----BEGIN PGP SIGNATURE")], GOOD[GOOD.index("-----BEGIN PGP SIGNATURE") :]
NOW = datetime.now(UTC)
TABLE = """# Where trustgate is stricter than helm 3.22 and helm 4.3

Written by `tests/interop/test_helm_verdicts.py`: the real programs beside our own verdict on the same files.

| case | helm 3 | helm 4 | trustgate | reason |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A provenance of ``PACKAGE``, and the keyring that everyone is given."""

    label: str
    provenance: str
    keyring: bytes = KEY.public()
    trusted: pgp.PgpKey = KEY


def _armored(*packets: bytes) -> str:
    return HEAD + pgp.armor(b"".join(packets))


def _signed(body: str, key: pgp.PgpKey = KEY, **more: object) -> str:
    return pgp.clear_signed(body, key, **more)  # type: ignore[arg-type]


SIGNATURE = KEY.signature(BODY.replace("\n", "\r\n").encode())
CASES = (
    Case("good, RSA over SHA-512", GOOD),
    Case("good, RSA over SHA-256", _signed(BODY, hash_id=8)),
    Case("good, Ed25519", _signed(BODY, ED), ED.public(), ED),
    Case("good, armor without checksum", _armored(SIGNATURE)),
    Case("good, CRLF", GOOD.replace("\n", "\r\n")),
    Case("good, no last line end", GOOD.rstrip("\n")),
    Case("good, a second key in the keyring", GOOD, OTHER.public() + KEY.public()),
    Case(
        "signed by a key of the keyring that is not listed",
        _signed(BODY, OTHER),
        OTHER.public() + KEY.public(),
    ),
    Case("signed by a key that is not in the keyring", _signed(BODY, OTHER)),
    Case("text before", "EVIL\n" + GOOD),
    Case("text after", GOOD + "EVIL\n"),
    Case("a second block after", GOOD + _signed(BODY, OTHER)),
    Case("a foreign block first", _signed(BODY, OTHER) + GOOD),
    Case("no Hash header", GOOD.replace("Hash: SHA512\n", "")),
    Case("a false Hash header", GOOD.replace("Hash: SHA512", "Hash: SHA256")),
    Case("header NotDashEscaped", GOOD.replace("Hash: SHA512\n", "Hash: SHA512\nNotDashEscaped: x\n")),
    Case("a wrong armor checksum", GOOD.replace(f"\n={pgp.crc24(SIGNATURE)}", "\n=AAAA")),
    Case("an armor header of one's own", GOOD.replace("SIGNATURE-----\n\n", "SIGNATURE-----\nEvil: x\n\n")),
    Case("a form feed", GOOD.replace("a chart", "a chart\f")),
    Case("a line that is not escaped", _signed("- a\n" + BODY).replace("- - a", "-a")),
    Case("two signatures, unknown first", _armored(OTHER.signature(BODY.encode()), SIGNATURE)),
    Case("two signatures, good first", _armored(SIGNATURE, OTHER.signature(BODY.encode()))),
    Case("class 0x00", _signed(BODY, kind=0)),
    Case("SHA-1", _signed(BODY, hash_id=2)),
    Case("RSA-1024", _signed(BODY, WEAK), WEAK.public() + KEY.public()),
    Case("signed in the future", _signed(BODY, at=NOW + timedelta(days=30))),
    Case("signed before the key was made", _signed(BODY, at=pgp.MADE - timedelta(days=1))),
    Case("expired signature", _signed(BODY, more=pgp.subpacket(3, (60).to_bytes(4)))),
    Case("revoked key", GOOD, KEY.revoked()),
    Case("expired key", GOOD, KEY.public(lives=timedelta(hours=1))),
    Case("changed text", GOOD.replace("a chart", "a Chart")),
    Case(
        "metadata of another chart",
        _signed(pgp.provenance_body(PACKAGE, metadata="name: x\nversion: 9.9.9\n")),
    ),
    Case("file of another chart", _signed(pgp.provenance_body(PACKAGE, name="x-1.2.3.tgz"))),
    Case("digest of another package", _signed(pgp.provenance_body(b"other"))),
    Case("two files", _signed(BODY + "\n  x-1.0.0.tgz: sha256:00")),
    Case(
        "the file twice, good last", _signed(BODY.replace("files:\n", "files:\n  web-1.2.3.tgz: sha256:0\n"))
    ),
    Case("files in another case", _signed(BODY.replace("files:", "FILES:"))),
    Case("a third part", _signed(BODY + "\n...\nfiles: {}")),
    Case(
        "files by an alias", _signed(BODY.replace("files:", "x: &a").replace("\nx:", "\nx:") + "\nfiles: *a")
    ),
)


def helm_accepts(world: World, name: str, case: Case, folder: Path) -> bool:
    archive, ring = folder / "web-1.2.3.tgz", folder / "ring.gpg"
    archive.write_bytes(PACKAGE)
    (folder / "web-1.2.3.tgz.prov").write_bytes(case.provenance.encode())
    ring.write_bytes(case.keyring)
    return (
        world.run("ci", require(name).path, "verify", "--keyring", ring, archive, check=False).returncode == 0
    )


def test_never_laxer_than_helm(world: World, tmp_path: Path) -> None:
    require("gpg")
    table, laxer = TABLE, []
    accepted = 0
    for case in CASES:
        theirs = [helm_accepts(world, name, case, tmp_path) for name in HELMS]
        trust = gpg_trust(case.keyring, [case.trusted.fingerprint])
        fact = judged(PACKAGE, case.provenance.encode(), Attestor("charts", trust))
        ours = fact.outcome is Outcome.VERIFIED
        accepted += ours
        if ours and not all(theirs):
            laxer.append(case.label)
        assert ours or not case.label.startswith("good"), (case.label, fact.reason)
        if any(theirs) and not ours:
            words = " | ".join("accept" if yes else "reject" for yes in (*theirs, ours))
            reason = fact.reason
            for key, word in ((KEY, "KEY"), (OTHER, "OTHER"), (WEAK, "WEAK")):
                reason = reason.replace(key.fingerprint, word)
            table += f"| {case.label} | {words} | {fact.outcome}: {reason} |\n"
    assert laxer == []
    assert accepted == sum(case.label.startswith("good") for case in CASES)
    golden = GOLDEN / "stricter-than-helm.md"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(table)
    assert table == golden.read_text()
