"""trust inspect and trust list: what they show, and that what has ended is the answer no."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import openpgp_world, sigstore_world
from tests.interop.notation_client import make_signers
from tests.signing_world import key, public_pem
from tests.simulators.authority import SimulatedAuthority
from tests.simulators.sigstore.authorities import PrivateSigstore
from tests.simulators.sigstore.faults import Faults
from tests.simulators.sigstore.trust import trusted_root
from tests.simulators.tuf import TufRepository
from tests.unit.cli.conftest import Call
from tests.unit.policy.scenes import HEAD, root
from trustgate.remote.trust_root import bundled_trusted_root

PGP = openpgp_world.pgp_key("ed25519")
needs_gpg = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg"
)
ENTRY = {"kind", "name", "id", "notBefore", "notAfter", "standing", "problem", "place"}


def after(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_the_public_good_root(call: Call, tmp_path: Path) -> None:
    (tmp_path / "trusted_root.json").write_bytes(bundled_trusted_root())
    done = call("trust", "inspect", "trusted_root.json", "--at", "2026-11-26T00:00:00Z")
    assert done.code == 0, done.err
    rows = [line.split("\t") for line in done.out.splitlines()]
    standing = {(row[1], row[3]): row[0] for row in rows}
    assert standing[("certificate log", "2021-03-14")] == "retired"
    assert ("ok", "transparency log", "rekor.sigstore.dev") in {tuple(row[:3]) for row in rows}
    assert "warning" not in done.err
    late = call("trust", "inspect", "trusted_root.json", "--at", "2099-01-01T00:00:00Z")
    assert (late.code, "certificate authority" in late.err) == (1, True)


def test_certificates_with_their_ends(call: Call, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(make_signers(["p256"]).root.pem)
    soon = call("trust", "inspect", "ca.pem")
    assert (soon.code, soon.out.startswith("ends-soon\tcertificate\t")) == (0, True)
    assert "in 29 days" in soon.err
    ended = call("trust", "inspect", "ca.pem", "--at", after(31))
    assert (ended.code, ended.out.startswith("no\tcertificate\t")) == (1, True)
    assert "ended on" in ended.err


def test_a_key_as_json(call: Call, tmp_path: Path) -> None:
    (tmp_path / "ci.pub").write_bytes(public_pem(key("p256", "ci")))
    document = call("trust", "inspect", "ci.pub", "-o", "json").json
    assert document["schema"] == "trustgate.trust/1"
    assert set(document) == {"schema", "source", "kind", "holds", "warnings"}
    (entry,) = document["holds"]
    assert set(entry) == ENTRY
    assert (entry["standing"], entry["id"][:4], entry["notAfter"]) == ("valid", "key:", None)


def test_a_trust_store(call: Call, tmp_path: Path) -> None:
    store = tmp_path / "notation" / "truststore" / "x509" / "ca" / "acme"
    store.mkdir(parents=True)
    made = make_signers(["p256"])
    (store / "root.crt").write_bytes(made.root.pem)
    done = call("trust", "inspect", "notation")
    assert (done.code, "x509/ca/acme/root.crt" in done.out) == (0, True)
    (store / "leaf.crt").write_bytes(made.by_kind["p256"].pem)
    done = call("trust", "inspect", "notation")
    assert (done.code, "neither an authority's" in done.err) == (1, True)


@needs_gpg
def test_a_keyring_and_what_its_keys_say(call: Call, tmp_path: Path) -> None:
    other = openpgp_world.pgp_key("rsa2048", "gone")
    made = openpgp_world.MADE
    brief = made + timedelta(days=100)
    (tmp_path / "ring.gpg").write_bytes(PGP.public(lives=timedelta(days=100)))
    good = call("trust", "inspect", "ring.gpg", "--at", made.isoformat(), "-o", "json")
    assert good.code == 0, good.err
    (entry,) = good.json["holds"]
    assert (entry["name"], entry["notAfter"]) == ("charts <charts@example.test>", brief.isoformat())
    assert call("trust", "inspect", "ring.gpg", "--at", brief.isoformat()).code == 1
    (tmp_path / "ring.gpg").write_bytes(PGP.public() + other.revoked())
    done = call("trust", "inspect", "ring.gpg")
    assert (done.code, "revoked" in done.err) == (1, True)
    assert done.out.splitlines()[0].startswith("ok\t")


def policy(folder: Path, trust: str, **files: bytes) -> None:
    keys = folder / "policy" / "trust" / "keys"
    keys.mkdir(parents=True)
    (folder / "policy" / "trustgate.yaml").write_bytes(root())
    text = f"{HEAD}kind: TrustStore\nmetadata: {{name: a}}\n{trust}"
    (folder / "policy" / "trust" / "a.yaml").write_text(text.replace("metadata: {name: a}\n", ""))
    for name, content in files.items():
        (keys / name).write_bytes(content)


@needs_gpg
def test_every_attestor_of_a_policy(call: Call, tmp_path: Path) -> None:
    sigstore = PrivateSigstore(Faults(), at=datetime.now(UTC))
    policy(
        tmp_path,
        "trustRoots:\n  own: {type: file, path: keys/root}\n"
        "attestors:\n"
        "  ci: {type: cosign-key, key: keys/ci}\n"
        "  gone: {type: cosign-key, key: keys/gone, notAfter: 2020-01-01T00:00:00Z}\n"
        "  job: {type: keyless, issuer: https://i.test, identity: me@a.test, trustRoot: own}\n"
        "  build:\n    type: notation\n    trustStores: {ca: [keys/ca]}\n    trustedIdentities: ['*']\n"
        "  charts:\n    type: gpg\n    keyring: keys/ring\n"
        f"    fingerprints: [{PGP.fingerprint}]\n"
        f"  tags: {{type: notary-v1, rootKeyIds: [{'a' * 64}], gun: h.test/a}}\n",
        root=trusted_root(sigstore),
        ci=public_pem(key("p256", "ci")),
        gone=public_pem(key("p256", "gone")),
        ca=make_signers(["p256"]).root.pem,
        ring=PGP.public(),
    )
    done = call("trust", "list", "--policy", "dir:policy")
    assert done.code == 1, done.err
    rows = {row[2]: row for row in (line.split("\t") for line in done.out.splitlines())}
    assert {name: row[1] for name, row in rows.items()} == {
        "ci": "cosign-key",
        "gone": "cosign-key",
        "job": "keyless",
        "build": "notation",
        "charts": "gpg",
        "tags": "notary-v1",
    }
    assert [name for name, row in rows.items() if row[0] != "ok"] == ["gone"]
    assert rows["job"][5] == "issuer https://i.test, identity me@a.test"
    assert "warning: gone: cosign-key gone ended on 2020-01-01" in done.err
    assert "warning: build: ca certificate" in done.err
    document = call("trust", "list", "--policy", "dir:policy", "-o", "json").json
    assert (document["schema"], set(document)) == (
        "trustgate.attestors/1",
        {"schema", "source", "attestors", "warnings"},
    )
    assert all(set(one) == ENTRY | {"type", "holds"} for one in document["attestors"])
    assert all(set(held) == ENTRY for one in document["attestors"] for held in one["holds"])
    earlier = call("trust", "list", "--policy", "dir:policy", "--at", "2019-12-31T00:00:00Z", "-o", "json")
    standings = {one["name"]: one["standing"] for one in earlier.json["attestors"]}
    assert standings["gone"] == "ends-soon"


def test_what_an_attestor_rests_on_counts_too(call: Call, tmp_path: Path) -> None:
    policy(
        tmp_path,
        "attestors:\n  build:\n    type: notation\n    trustStores: {ca: [keys/ca]}\n"
        "    trustedIdentities: ['*']\n",
        ca=make_signers(["p256"]).root.pem,
    )
    assert call("trust", "list", "--policy", "dir:policy").code == 0
    done = call("trust", "list", "--policy", "dir:policy", "--at", after(31))
    assert (done.code, done.out.startswith("ok\tnotation\tbuild")) == (1, True)
    assert "build: ca certificate" in done.err


def test_a_policy_that_trusts_nobody(call: Call, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "trustgate.yaml").write_bytes(root())
    done = call("trust", "list", "--policy", "dir:policy")
    assert (done.code, done.out) == (0, "")
    assert "names no attestor" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "absent"), "absent can't be read"),
        (("inspect", "."), "no trust store"),
        (("inspect", "text"), "no trust material"),
        (("inspect", "text", "--at", "soon"), "no moment"),
        (("inspect", "text", "--at", "2027-01-01"), "time zone"),
        (("list",), "--policy"),
    ],
)
def test_asked_wrongly(call: Call, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "text").write_text("hello")
    done = call("trust", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


# --- trust update --------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[TufRepository, str]]:
    """A repository of a trusted root, its address, and its pinned root in ``root.json``."""
    repository = TufRepository(sigstore_world.instance().trusted_root())
    (tmp_path / "root.json").write_bytes(repository.pinned)
    with SimulatedAuthority() as server:
        server.pages = {path: _page(repository, path) for path in repository.pages}
        yield repository, server.url("/").rstrip("/")


def _page(repository: TufRepository, path: str) -> Callable[[bytes], tuple[int, bytes]]:
    return lambda _body: (200, repository.pages[path])


def test_a_trusted_root_is_brought_up_to_date(
    call: Call, tmp_path: Path, mirror: tuple[TufRepository, str]
) -> None:
    repository, url = mirror
    asked = ("trust", "update", "own.json", "--mirror", url, "--root", "root.json", "--state", "tuf")
    first = call(*asked)
    assert (first.code, "own.json: updated" in first.err) == (0, True), first.err
    assert (tmp_path / "own.json").read_bytes() == repository.target
    again = call(*asked, "-o", "json")
    document = json.loads(again.out)
    assert (again.code, document["schema"], document["changed"]) == (0, "trustgate.trust-update/1", False)
    assert {path.name for path in tmp_path.iterdir()} <= {"own.json", "root.json", "tuf", "home"}


def test_what_does_not_verify_leaves_the_file_as_it_was(
    call: Call, tmp_path: Path, mirror: tuple[TufRepository, str]
) -> None:
    repository, url = mirror
    (tmp_path / "own.json").write_text("as it was")
    repository.pages["/timestamp.json"] = b"{}"
    done = call("trust", "update", "own.json", "--mirror", url, "--root", "root.json")
    assert (done.code, "nothing was written" in done.err) == (3, True)
    assert (tmp_path / "own.json").read_text() == "as it was"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mirror", "https://tuf.example.com"), "--mirror and --root stand together"),
        (("--root", "root.json"), "--mirror and --root stand together"),
        (("--mirror", "http://tuf.example.com", "--root", "root.json"), "no https:// address"),
    ],
)
def test_updates_asked_wrongly(
    call: Call, mirror: tuple[TufRepository, str], arguments: tuple[str, ...], said: str
) -> None:
    done = call("trust", "update", "own.json", *arguments)
    assert (done.code, said in done.err) == (2, True), done.err


def test_a_signed_file_that_is_no_trusted_root(
    call: Call, tmp_path: Path, mirror: tuple[TufRepository, str]
) -> None:
    repository, url = mirror
    (tmp_path / "root.json").write_bytes(repository.pinned)
    repository.target = b"{}"
    repository.publish()
    path = next(path for path, content in repository.pages.items() if content == b"{}")
    repository.pages[path] = b"{}"
    done = call("trust", "update", "own.json", "--mirror", url, "--root", "root.json")
    assert done.code != 0
    assert not (tmp_path / "own.json").exists()
