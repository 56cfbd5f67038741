from __future__ import annotations

from typing import Any

import pytest

from tests import sigstore_world as world
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.sigstore.certificate import Identity
from trustgate.evidence.sigstore.pattern import PatternRefused, anchored, exact
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.trust import cosign_keyless_trust, keyless_trust
from trustgate.evidence.sigstore.trusted_root import MAX_LOGS, NOBODY, TrustedRoot, read_trusted_root
from trustgate.remote.trust_root import PUBLIC_GOOD, bundled_trusted_root

ROOT = read_trusted_root(world.instance().trusted_root())
WHO = {"issuer": exact("https://i.test"), "identity": exact("me")}


def test_an_attestor_may_be_one_identity_or_many() -> None:
    one = Attestor("one", keyless_trust(ROOT, **WHO))
    many = Attestor("many", keyless_trust(ROOT, issuer=exact("https://i.test"), identity=anchored("^m.*$")))
    assert one.sole_identity == "keyless:https://i.test me"
    assert (many.sole_identity, many.may_be("keyless:https://i.test mo")) == (None, True)
    assert not one.may_be("keyless:https://i.test you")


def test_it_can_be_compared_and_hashed() -> None:
    assert keyless_trust(ROOT, **WHO) == keyless_trust(ROOT, **WHO)
    assert len({keyless_trust(ROOT, **WHO), keyless_trust(ROOT, **WHO, min_logs=2)}) == 2


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"claims": {"workflow": "x"}}, "'workflow' is not a certificate claim"),
        ({"claims": {"build-trigger": ""}}, "empty"),
        ({"claims": {"build-trigger": "*"}}, "empty"),
        ({"min_logs": 0}, "must be proven"),
        ({"min_logs": -1, "min_timestamps": 3}, "must be proven"),
    ],
)
def test_trust_that_says_too_little_is_refused(more: dict[str, Any], word: str) -> None:
    with pytest.raises(PatternRefused, match=word):
        keyless_trust(ROOT, **WHO, **more)


def check(found: Identity, **options: Any) -> bool:
    try:
        cosign_keyless_trust(ROOT, **options).check_identity(found)
    except NotTrusted:
        return False
    return True


BUILD = Identity("https://ci.test/job/build@main", "https://ci.test", {"build-trigger": "push"})
EXACT = {
    "certificate_identity": "https://ci.test/job/build@main",
    "certificate_oidc_issuer": "https://ci.test",
}


def test_cosign_s_options() -> None:
    assert check(BUILD, **EXACT)
    assert check(BUILD, **EXACT, claims={"build-trigger": "push"})
    assert not check(BUILD, **EXACT, claims={"build-trigger": "pull_request"})
    assert not check(BUILD, **EXACT, claims={"runner-environment": "github-hosted"})
    regexps = {
        "certificate_identity_regexp": ".*job/build.*",
        "certificate_oidc_issuer_regexp": "https://ci.*",
    }
    assert check(BUILD, **regexps)
    assert check(BUILD, certificate_identity_regexp=".*", certificate_oidc_issuer_regexp=".*")
    assert not check(BUILD, **{**regexps, "certificate_identity_regexp": "job/bui"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"certificate_identity": "a"},
        {"certificate_oidc_issuer": "a"},
        {**EXACT, "certificate_identity_regexp": "a"},
        {**EXACT, "certificate_oidc_issuer_regexp": "a"},
        {"certificate_identity_regexp": "(", "certificate_oidc_issuer": "a"},
    ],
)
def test_cosign_s_options_that_leave_it_open(options: dict[str, Any]) -> None:
    with pytest.raises(PatternRefused):
        cosign_keyless_trust(ROOT, **options)


def test_what_must_be_proven_follows_cosign_s_options() -> None:
    plain = cosign_keyless_trust(ROOT, **EXACT)
    assert (plain.min_logs, plain.min_timestamps) == (1, 0)
    stamped = cosign_keyless_trust(ROOT, **EXACT, use_signed_timestamps=True)
    assert (stamped.min_logs, stamped.min_timestamps) == (1, 1)
    unlogged = cosign_keyless_trust(ROOT, **EXACT, ignore_tlog=True)
    assert (unlogged.min_logs, unlogged.min_timestamps) == (0, 1)


# --- trusted roots -------------------------------------------------------------------------------


def test_a_root_is_known_by_its_file() -> None:
    again = read_trusted_root(world.instance().trusted_root())
    other = read_trusted_root(world.instance("two").trusted_root())
    assert again == ROOT
    assert other != ROOT
    assert (len(ROOT.rekor), len(ROOT.ct), len(ROOT.certificates), len(ROOT.timestamps)) == (2, 1, 1, 1)


def first(part: str, **changes: Any) -> world.Edit:
    def edit(document: dict[str, Any]) -> None:
        document[part][0].update(changes)

    return edit


def public_key(**changes: Any) -> world.Edit:
    return lambda document: document["tlogs"][0]["publicKey"].update(changes)


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda d: d.update(mediaType="application/vnd.dev.sigstore.trustedroot.v0.2+json"), "media type"),
        (lambda d: d.update(mediaType=7), "media type"),
        (lambda d: d.update(mediaType=[]), "media type"),
        (lambda d: d.update(tlogs={}), "not a list"),
        (lambda d: d.update(tlogs=[7]), "not an object"),
        (lambda d: d.update(tlogs=d["tlogs"] * MAX_LOGS), "at most 64"),
        (first("tlogs", publicKey=None), "not an object"),
        (first("tlogs", baseUrl=""), "no baseUrl"),
        (first("tlogs", baseUrl="https://["), "not a URL"),
        (first("tlogs", operator=7), "operator"),
        (first("tlogs", logId={"keyId": "*"}), "not base64"),
        (public_key(rawBytes="AAAA"), "can't be read"),
        (public_key(rawBytes=""), "no rawBytes"),
        (public_key(validFor={}), "no start"),
        (public_key(validFor=None), "not an object"),
        (public_key(validFor={"start": "yesterday"}), "not a time"),
        (public_key(validFor={"start": "2026-01-01T00:00:00"}), "not a time"),
        (public_key(validFor={"start": 7}), "not a time"),
        (public_key(validFor={"start": "20260101T000000Z"}), "not a time"),
        (public_key(validFor={"start": "2026-02-30T00:00:00Z"}), "not a time"),
        (public_key(validFor={"start": "9999-12-31T23:59:59-14:00"}), "not a time"),
        (public_key(validFor={"start": "2026-01-01T00:00:00Z", "end": "x"}), "not a time"),
        (first("certificateAuthorities", certChain={"certificates": []}), "no certificate"),
        (
            first("certificateAuthorities", certChain={"certificates": [{"rawBytes": "AAAA"}]}),
            "can't be read",
        ),
        (first("certificateAuthorities", validFor=None), "not an object"),
        (first("timestampAuthorities", certChain=7), "not an object"),
    ],
)
def test_a_root_that_is_not_understood_whole_is_refused(edit: world.Edit, word: str) -> None:
    with pytest.raises(Refusal, match=word):
        read_trusted_root(world.instance().trusted_root(edit))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b" " * 2_000_000])
def test_what_is_no_root(raw: bytes) -> None:
    with pytest.raises(Refusal):
        read_trusted_root(raw)


@pytest.mark.parametrize("start", ["2026-01-01T00:00:00.123456789Z", "2026-01-01T02:00:00+02:00"])
def test_how_times_may_be_written(start: str) -> None:
    found = read_trusted_root(world.instance().trusted_root(public_key(validFor={"start": start})))
    assert found.rekor[0].window.start.replace(microsecond=0).isoformat() == "2026-01-01T00:00:00+00:00"


def test_logs_and_authorities_are_counted_by_operator() -> None:
    def edit(document: dict[str, Any]) -> None:
        document["tlogs"][0].pop("logId")
        document["tlogs"][1]["operator"] = "op"
        document["timestampAuthorities"][0]["operator"] = "op"

    found: TrustedRoot = read_trusted_root(world.instance().trusted_root(edit))
    assert found.rekor[0].key_id == world.instance().log_id(1)
    assert found.rekor[1].counted_as == found.timestamps[0].counted_as == "op"
    assert found.rekor[0].counted_as == found.certificates[0].counted_as == NOBODY
    sigstore_dev = read_trusted_root(bundled_trusted_root(PUBLIC_GOOD))
    assert len({one.counted_as for one in sigstore_dev.rekor}) == 1 < len(sigstore_dev.rekor)
