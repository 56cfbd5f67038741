"""Verifications a second on one core, and what a first pull of a signed image costs.

    python -m tests.bench.verification [--quick]

The judges run in this process over signatures that differ, each verified once a round (nothing is kept
between them). The ratio to ``cosign verify`` and ``notation verify`` compares what one artifact costs as a
judgement here with a whole process of theirs: that is what a gate would run in their place.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import notation_world, sigstore_world
from tests import signing_world as world
from tests.clients.catalog import find
from tests.unit.gate.conftest import Gated, serve_gated
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.cosign_key import public_pem
from trustgate.evidence.model import Outcome, SignatureCandidate
from trustgate.evidence.notation.judge import judge_notation
from trustgate.evidence.sigstore.trust import KeylessTrust, cosign_keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.oci.digest import Digest

REPOSITORY = "shop/web"


@dataclass(frozen=True, slots=True)
class Judges:
    """One kind of signature: the candidates, and what judging one of them is."""

    name: str
    judgements: Sequence[Callable[[], Outcome]]

    def per_second(self, seconds: float) -> float:
        """Of CPU, not of the wall clock: other work on the machine does not count."""
        done = 0
        began = time.process_time()
        while time.process_time() - began < seconds:
            for one in self.judgements:
                assert one() is Outcome.VERIFIED
                done += 1
        return done / (time.process_time() - began)


def main() -> int:
    quick = "--quick" in sys.argv
    seconds, images = (0.5, 20) if quick else (3.0, 200)
    print(f"{'judged':<44} {'a second of CPU':>16}")
    rates = {}
    for kind in (by_key(), keyless(second_judge=False), keyless(second_judge=True), notation()):
        rates[kind.name] = kind.per_second(seconds)
        print(f"{kind.name:<44} {rates[kind.name]:>16.0f}")
    with tempfile.TemporaryDirectory(prefix="trustgate-bench-") as name, serve_gated(Path(name)) as gated:
        cold_pulls(gated, images)
        against_cosign(gated, rates["cosign bundle by key"], 3 if quick else 10)
    return 0


def by_key(count: int = 50) -> Judges:
    private = world.key()
    trusted = [world.trusted(private)]
    found = []
    for number in range(count):
        subject = Digest.of(b"image %d" % number)
        found.append((world.bundle_candidate(subject, world.bundle(subject, private)), subject))
    return Judges("cosign bundle by key", [_judging(one, subject, trusted) for one, subject in found])


def keyless(*, second_judge: bool, count: int = 50) -> Judges:
    instance = sigstore_world.instance()
    root = read_trusted_root(instance.trusted_root())
    made = cosign_keyless_trust(
        root,
        certificate_identity=sigstore_world.SUBJECT,
        certificate_oidc_issuer=sigstore_world.ISSUER,
    )
    trust = KeylessTrust(made.root, made.issuer, made.identity, second_judge=second_judge)
    trusted = [Attestor("ci", trust)]
    judgements = []
    for number in range(count):
        subject = Digest.of(b"image %d" % number)
        raw = sigstore_world.bundle_of(sigstore_world.sign_statement(subject))
        judgements.append(_judging(world.bundle_candidate(subject, raw), subject, trusted))
    suffix = " with the library's second opinion" if second_judge else ""
    return Judges(f"cosign bundle keyless{suffix}", judgements)


def _judging(
    candidate: SignatureCandidate, subject: Digest, trusted: Sequence[Attestor]
) -> Callable[[], Outcome]:
    return lambda: judge(candidate, subject=subject, attestors=trusted, now=world.NOW).outcome


def notation() -> Judges:
    candidate = notation_world.signed(notation_world.parts())
    trusted = [Attestor("acme", notation_world.trust())]
    return Judges(
        "notation (JWS, P-256, chain of three)",
        [
            lambda: (
                judge_notation(
                    candidate, subject=notation_world.SUBJECT, attestors=trusted, now=notation_world.NOW
                ).outcome
            )
        ],
    )


def cold_pulls(gated: Gated, images: int) -> None:
    """Each image is pulled for the first time: its evidence is stored, its verdict is not."""
    digests = []
    for number in range(images):
        digest = gated.push(REPOSITORY, f"t{number}", f"image {number}")
        gated.sign(REPOSITORY, digest)
        digests.append(digest)
    gated.settle()
    took = []
    for digest in digests:
        began = time.perf_counter()
        assert gated.ask("prod", "GET", f"/v2/{REPOSITORY}/manifests/{digest}").status == 200
        took.append((time.perf_counter() - began) * 1000)
    p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
    median = statistics.median(took)
    print(f"cold gated pull, {images} images: median {median:.1f} ms, p99 {p99:.1f} ms (goals: 10, 150)")


def against_cosign(gated: Gated, per_second: float, runs: int) -> None:
    """A whole ``cosign verify`` process on the same artifact, by its CPU."""
    client = find("cosign")
    if client is None:
        print("cosign is not here: run 'make clients'")
        return
    digest = gated.push(REPOSITORY, "compared", "compared")
    gated.sign(REPOSITORY, digest)
    key = gated.folder / "bench.pub"
    key.write_bytes(public_pem(gated.key))
    config = gated.folder / "docker"
    config.mkdir(exist_ok=True)
    login = {"auth": gated.authorization("ci").removeprefix("Basic ")}
    (config / "config.json").write_text(json.dumps({"auths": {gated.host: login}}))
    command = [
        str(client.path), "verify", "--key", str(key), "--insecure-ignore-tlog=true", "--allow-http-registry",
        f"{gated.host}/{REPOSITORY}@{digest}",
    ]  # fmt: skip
    cpu = statistics.median(_cpu_of(command, {"DOCKER_CONFIG": str(config)}) for _ in range(runs))
    ratio = cpu * per_second
    print(
        f"cosign verify {client.version}: {cpu * 1000:.0f} ms of CPU a process, {ratio:.0f}x a judgement here"
    )


def _cpu_of(command: Sequence[str], environment: dict[str, str]) -> float:
    import os
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
