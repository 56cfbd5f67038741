"""Evidence of all formats beside one digest: what the gate answers is what the good part of it says.

Whatever else lies there (by strangers, damaged, attestations, junk) changes nothing: less never opens the
gate, and more by others never closes it. All judges are the real ones; what is there is chosen by hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import notation_world, openpgp_world, sigstore_world
from tests import signing_world as world
from tests.unit.evidence.notary import scene
from tests.unit.gate.test_formats import CHARTS, HEAD, STRANGER, leaf_of, publish
from tests.unit.policy import scenes
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.packaging import chart_artifact
from trustgate.evidence.model import Known, Role, Subject
from trustgate.flows.gather import Gatherer
from trustgate.flows.notary import TrustFlow
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.document import PolicySet, load
from trustgate.policy.engine import evaluate
from trustgate.policy.model import Need, Request, VerdictKind
from trustgate.ports import Push, StoredBlob, StoredManifest
from trustgate.settings import Settings
from trustgate.store.opening import Store, open_store
from trustgate.wiring import SystemClock
from trustgate.wiring.evidence import open_evidence

VERSION = Tag("1.2.3")
ROOT = notation_world.root()
ACME, FOREIGN_LEAF = leaf_of(ROOT), leaf_of(notation_world.authority())
TRUST = f"""\
{HEAD}kind: TrustStore
trustRoots: {{test: {{type: file, path: keys/root.json}}}}
attestors:
  bundle: {{type: cosign-key, key: keys/bundle.pub}}
  legacy: {{type: cosign-key, key: keys/legacy.pub}}
  keyless:
    type: keyless
    issuer: {sigstore_world.ISSUER}
    identity: "{sigstore_world.SUBJECT}"
    trustRoot: test
  notation: {{type: notation, trustStores: {{ca: [keys/acme.pem]}}, trustedIdentities: ["*"]}}
  notary: {{type: notary-v1, rootKey: keys/dct.pub}}
  charts: {{type: gpg, keyring: keys/charts.gpg, fingerprints: ["{CHARTS.fingerprint}"]}}
"""
NAMES = ("bundle", "legacy", "keyless", "notation", "notary", "charts")
PROVENANCE = {"good": CHARTS, "foreign": STRANGER, "none": None}
NOTARY = {"good": "root", "foreign": "another", "none": ""}
LAYERS = ("good", "foreign", "damaged", "junk")


def files() -> dict[str, bytes]:
    """The trust store; policies come with each example."""
    root_key = scene.private("root").public_key()
    return {
        "trustgate.yaml": scenes.root(),
        "trust/attestors.yaml": TRUST.encode(),
        "trust/keys/root.json": sigstore_world.instance().trusted_root(),
        "trust/keys/bundle.pub": world.public_pem(world.key(name="bundle")),
        "trust/keys/legacy.pub": world.public_pem(world.key(name="legacy")),
        "trust/keys/acme.pem": ROOT.pem,
        "trust/keys/charts.gpg": CHARTS.public(),
        "trust/keys/dct.pub": root_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    }


# --- evidence ------------------------------------------------------------------------------------


def damaged(private: Any, content: bytes) -> bytes:
    """A signature of something else."""
    return world.signature(private, content + b"!")


def attested(document: dict[str, Any]) -> None:
    document["predicateType"] = "https://slsa.dev/provenance/v1"


def notation(subject: Subject, issued: notation_world.Issued, **changes: Any) -> world.Artifact:
    made = notation_world.parts(issued, subject, **changes)
    made.header[notation_world.TIME] = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return notation_world.carrier(notation_world.jws(made), subject=subject, chain=issued.chain)


def referrers(subject: Manifest) -> dict[str, world.Artifact]:
    """By name; what ends in ``good`` counts for the attestor before it."""
    digest, mine = subject.digest, world.key(name="bundle")
    other = sigstore_world.instance("two")
    keyless = sigstore_world.sign_statement
    bundles = {
        "bundle good": world.bundle(digest, mine),
        "bundle foreign": world.bundle(digest, world.key(name="stranger")),
        "bundle damaged": world.bundle(digest, mine, sign=damaged),
        "bundle of another": world.bundle(Digest.of(b"another"), mine),
        "bundle attests": world.bundle(digest, mine, edit_statement=attested),
        "bundle junk": world.bundle(digest, mine, payload=b"{"),
        "keyless good": sigstore_world.bundle_of(keyless(digest)),
        "keyless foreign": sigstore_world.bundle_of(keyless(digest, issuer="https://other.test")),
        "keyless elsewhere": sigstore_world.bundle_of(keyless(digest, sigstore=other)),
        "keyless unlogged": sigstore_world.bundle_of(keyless(digest), entries=[]),
    }
    found = {name: world.bundle_manifest(subject.descriptor, raw) for name, raw in bundles.items()}
    about = Subject(digest, subject.media_type, len(subject.raw))
    found["notation good"] = notation(about, ACME)
    found["notation foreign"] = notation(about, FOREIGN_LEAF)
    found["notation damaged"] = notation(about, ACME, sign=lambda key, _: notation_world.primitive(key, b"?"))
    return found


def layer(subject: Digest, name: str) -> Any:
    private = world.key(name="stranger" if name == "foreign" else "legacy")
    match name:
        case "damaged":
            return world.legacy_candidate(subject, private, sign=damaged)
        case "junk":
            return world.legacy_candidate(Digest.of(b"another"), private)
        case _:
            return world.legacy_candidate(subject, private)


REFERRERS = tuple(referrers(world.image().manifest))


# --- a store in which hypothesis chooses what is there -------------------------------------------


class Chosen:
    """The stored manifests, but for the ``.sig`` tag, and those referrers that were chosen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.referrers: Sequence[Digest] = ()
        self.tagged: Digest | None = None

    def find(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        if isinstance(target, Digest) or not target.endswith(".sig"):
            return self._store.manifests.find(repository, target)
        return self._store.manifests.find(repository, self.tagged) if self.tagged else None

    def about(self, _repository: RepositoryName, _subject: Digest, *, limit: int) -> tuple[Digest, ...]:
        return tuple(self.referrers[:limit])

    def containing(self, *_args: Any, **_named: Any) -> tuple[Digest, ...]:
        return ()


@dataclass(repr=False)
class House:
    """One chart for each provenance and state of Notary v1, each in a repository of its own."""

    store: Store
    chosen: Chosen
    gatherer: Gatherer
    trust: TrustFlow
    charts: dict[tuple[str, str], tuple[RepositoryName, Manifest]]
    evidence: dict[tuple[RepositoryName, str], Digest]

    def put(self, repository: RepositoryName, raw: bytes, blobs: dict[Digest, bytes], role: Role) -> Manifest:
        now = datetime.now(UTC)
        for digest, content in blobs.items():
            upload = self.store.uploads.begin(repository, by="ci", at=now)
            with self.store.blob_store.append(upload.id, 0) as writer:
                writer.write(content)
                writer.sync()
            upload = self.store.uploads.advance(upload, len(content), at=now)
            key = self.store.blob_store.commit(upload.id, digest, len(content))
            self.store.uploads.finish(upload, StoredBlob(digest, len(content), key))
        manifest = parse_manifest(raw)
        self.store.manifests.put(Push(repository, manifest, role, (), "ci", now))
        return manifest

    def chart(self, provenance: str, notary: str) -> tuple[RepositoryName, Manifest]:
        """The chart in that state, with all evidence stored beside it."""
        if (provenance, notary) not in self.charts:
            repository = RepositoryName(f"p-{provenance}/n-{notary}/charts")
            manifest = self._push_chart(repository, PROVENANCE[provenance])
            for name, made in referrers(manifest).items():
                stored = self.put(repository, made.raw, made.blobs, Role.SIGNATURE)
                self.evidence[repository, name] = stored.digest
            if NOTARY[notary]:
                gun = f"localhost:5080/{repository}"
                publish(self.trust, gun, scene.root(NOTARY[notary], gun), {VERSION: scene.meta(manifest.raw)})
            self.charts[provenance, notary] = (repository, manifest)
        return self.charts[provenance, notary]

    def _push_chart(self, repository: RepositoryName, key: openpgp_world.PgpKey | None) -> Manifest:
        metadata = openpgp_world.CHART_YAML.replace("name: web", "name: charts")
        package = openpgp_world.package({"charts/Chart.yaml": metadata})
        body = openpgp_world.provenance_body(package, metadata=metadata, name="charts-1.2.3.tgz")
        signed_at = datetime.now(UTC) - timedelta(hours=1)
        provenance = openpgp_world.clear_signed(body, key, at=signed_at).encode() if key else None
        made = chart_artifact(package, read_chart(package), provenance, created=signed_at)
        return self.put(repository, made.manifest, dict(made.blobs), Role.ARTIFACT)

    def choose(self, repository: RepositoryName, subject: Digest, names: set[str], layers: list[str]) -> None:
        """What lies beside it now."""
        self.chosen.referrers = [self.evidence[repository, name] for name in REFERRERS if name in names]
        self.chosen.tagged = None
        if layers:
            name = ".sig " + " ".join(sorted(layers))
            if (repository, name) not in self.evidence:
                made = world.legacy_manifest(*(layer(subject, one) for one in sorted(layers)))
                self.evidence[repository, name] = self.put(
                    repository, made.raw, made.blobs, Role.SIGNATURE
                ).digest
            self.chosen.tagged = self.evidence[repository, name]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock, folder = SystemClock(), tmp_path_factory.mktemp("house")
    store = open_store(folder, clock)
    chosen = Chosen(store)
    parts = open_evidence(Settings(data=folder), clock, store)
    for reader in (parts.signatures, parts.attestations):
        reader._manifests = chosen  # type: ignore[assignment]  # what is chosen, in place of what is stored
        reader._evidence = chosen
    gatherer = Gatherer(
        manifests=chosen,  # type: ignore[arg-type]  # it asks for no more than that
        reports=store.reports,
        signatures=parts.signatures,
        attestations=parts.attestations,
    )
    yield House(store, chosen, gatherer, parts.trust, {}, {})
    parts.close()
    store.close()


# --- what is asked for ---------------------------------------------------------------------------

FILES = files()
_numbers = count()


@dataclass(frozen=True)
class Asked:
    """A requirement as YAML, and what it means for those whose good signature is there."""

    text: str
    met: Callable[[frozenset[str]], bool] = field(repr=False)


def one(name: str) -> Asked:
    return Asked(f"{{attestor: {name}}}", lambda there: name in there)


def all_of(parts: list[Asked]) -> Asked:
    text = ", ".join(part.text for part in parts)
    return Asked(f"{{allOf: [{text}]}}", lambda there: all(part.met(there) for part in parts))


def any_of(parts: list[Asked]) -> Asked:
    text = ", ".join(part.text for part in parts)
    return Asked(f"{{anyOf: [{text}]}}", lambda there: any(part.met(there) for part in parts))


def at_least(number: int, names: list[str]) -> Asked:
    number = min(number, len(names))
    text = f"{{atLeast: {number}, of: [{', '.join(names)}]}}"
    return Asked(text, lambda there: len(there & set(names)) >= number)


names = st.sampled_from(NAMES)
leaves = st.builds(one, names) | st.builds(
    at_least, st.integers(1, 4), st.lists(names, min_size=1, max_size=6, unique=True)
)
asked = st.recursive(
    leaves,
    lambda inner: (
        st.builds(all_of, st.lists(inner, min_size=1, max_size=3))
        | st.builds(any_of, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=5,
)


def policies(requirement: Asked) -> PolicySet:
    text = scenes.policy(scenes.signed(requirement.text))
    return load(FILES | {"policies/p.yaml": text}, revision=f"{next(_numbers):040x}")


def verdict(house: House, chart: tuple[RepositoryName, Manifest], requirement: Asked) -> VerdictKind:
    repository, manifest = chart
    request = Request(scenes.pull().action, repository, manifest.digest, scenes.pull().caller, tag=VERSION)
    now, rules = datetime.now(UTC), policies(requirement)
    evidence = house.gatherer.evidence(
        request, Role.ARTIFACT, needs=frozenset({Need.SIGNATURES}), policies=rules, now=now
    )
    return evaluate(rules, request, evidence, now).kind


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requirement=asked,
    provenance=st.sampled_from(sorted(PROVENANCE)),
    notary=st.sampled_from(sorted(NOTARY)),
    beside=st.sets(st.sampled_from(REFERRERS)),
    layers=st.lists(st.sampled_from(LAYERS), unique=True),
)
def test_the_answer_is_what_the_good_evidence_says(
    house: House, requirement: Asked, provenance: str, notary: str, beside: set[str], layers: list[str]
) -> None:
    chart = house.chart(provenance, notary)
    house.choose(chart[0], chart[1].digest, beside, layers)
    good = {name.partition(" ")[0] for name in beside if name.endswith(" good")}
    good |= {"legacy"} if "good" in layers else set()
    good |= {"notary"} if notary == "good" else set()
    good |= {"charts"} if provenance == "good" else set()
    wanted = VerdictKind.ALLOW if requirement.met(frozenset(good)) else VerdictKind.DENY
    assert verdict(house, chart, requirement) is wanted


@pytest.mark.parametrize("name", NAMES)
def test_each_format_alone_opens_and_its_absence_closes(house: House, name: str) -> None:
    """So that the property above is not true of nothing."""
    state = ("good" if name == "charts" else "foreign", "good" if name == "notary" else "foreign")
    chart = house.chart(*state)
    everything = set(REFERRERS)
    house.choose(
        chart[0], chart[1].digest, {f"{name} good"} & everything, ["good"] if name == "legacy" else []
    )
    assert verdict(house, chart, one(name)) is VerdictKind.ALLOW
    others = everything - {f"{name} good"}
    layers = [part for part in LAYERS if not (name == "legacy" and part == "good")]
    house.choose(chart[0], chart[1].digest, others, layers)
    alone = name in {"charts", "notary"}  # these two are part of the chart, or of its repository
    assert verdict(house, chart, one(name)) is (VerdictKind.ALLOW if alone else VerdictKind.DENY)
    assert verdict(house, house.chart("foreign", "foreign"), one(name)) is VerdictKind.DENY


def test_facts_are_known_for_all(house: House) -> None:
    chart = house.chart("good", "good")
    house.choose(chart[0], chart[1].digest, set(REFERRERS), list(LAYERS))
    request = Request(scenes.pull().action, chart[0], chart[1].digest, scenes.pull().caller, tag=VERSION)
    rules = policies(any_of([one(name) for name in NAMES]))
    found = house.gatherer.evidence(
        request, Role.ARTIFACT, needs=frozenset({Need.SIGNATURES}), policies=rules, now=datetime.now(UTC)
    ).subject.signatures
    assert isinstance(found, Known)
    assert len(found.value) == len(REFERRERS) + len(LAYERS) + 2
    assert {name for fact in found.value for name in fact.attestors} == set(NAMES)
