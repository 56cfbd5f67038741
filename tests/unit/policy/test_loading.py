"""What does not load, where it is said to be wrong, and that everything is told at once."""

# ruff: noqa: E501 - a case a line reads best

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.scenes import (
    HEAD,
    pem,
    policy,
    policy_set,
    problems_of,
    root,
    severe,
    signed,
    tree,
    trust,
)
from trustgate.errors import PolicyInvalid
from trustgate.policy import layout
from trustgate.policy.document import load

SIGNED = signed("{attestor: ci}")


def in_policy(rules: str = SIGNED, scope: str = 'repositories: ["**"]', top: str = "") -> dict[str, bytes]:
    return tree(policy(rules, scope=scope, top=top), attestors=("ci", "alice", "bob"))


def in_root(text: str) -> dict[str, bytes]:
    return {"trustgate.yaml": f"{HEAD}kind: Root\n{text}".encode()}


def in_trust(text: str) -> dict[str, bytes]:
    files = {"trustgate.yaml": root(), "trust/a.yaml": f"{HEAD}kind: TrustStore\n{text}".encode()}
    return files | {"trust/keys/ci.pub": pem("ci"), "secret.pub": pem("ci")}


NO_MATCH = "  noMatch: {pull: allow, push: allow, delete: allow}\n"


def exempting(line: str) -> dict[str, bytes]:
    return in_root(f"defaults:\n{NO_MATCH}exempt:\n  - {{{line}, why: because}}\n")


def requiring(require: str, rest: str = "") -> dict[str, bytes]:
    return in_policy(signed(require, rest=rest))


def severity(body: str) -> dict[str, bytes]:
    return in_policy(f"- id: severity\n  severity: {{{body}}}")


SLSA = "predicateType: https://slsa.dev/provenance/v1"


def attested(
    body: str, *, by: str = "by: {attestor: ci}", scope: str = 'repositories: ["**"]'
) -> dict[str, bytes]:
    keys = ", ".join(key for key in (body, by) if key)
    return in_policy(f"- id: slsa\n  attestation: {{{keys}}}", scope)


def once(body: str, scope: str = 'actions: [push, delete], repositories: ["**"]') -> dict[str, bytes]:
    return in_policy(f"- id: once\n  immutability: {{{body}}}", scope)


LATE = "is not supported by this version"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # heads
        ({"trustgate.yaml": b"- a\n"}, "trustgate.yaml:1:1: error TG2003 expected a mapping"),
        ({"trustgate.yaml": b"kind: Root\n"}, 'TG2003 the document has no "apiVersion"'),
        ({"trustgate.yaml": HEAD.encode()}, 'TG2003 the document has no "kind"'),
        ({"trustgate.yaml": b"apiVersion: trustgate.dev/v9\nkind: Root\n"}, "1:13: error TG2003 apiVersion"),
        ({"trustgate.yaml": f"{HEAD}kind: Polcy\n".encode()}, '2:7: error TG2003 kind \'Polcy\' is unknown (did you mean "Policy"?)'),
        ({"trustgate.yaml": f"{HEAD}kind: Exceptions\n".encode()}, f'TG2005 kind "Exceptions" {LATE}'),
        ({"trustgate.yaml": f"{HEAD}kind: PolicyTest\n".encode()}, "belongs into tests/"),
        # the root
        ({}, "trustgate.yaml:1:1: error TG2013 there is no trustgate.yaml"),
        ({"trustgate.yaml": trust("ci"), "trust/keys/ci.pub": pem("ci")}, "TG2011"),
        ({"trustgate.yaml": policy(severe())}, "TG2013 the file holds no document of kind Root"),
        ({"policies/root.yaml": root()}, "TG2013 a set has one Root"),
        ({"trustgate.yaml": root() + b"---\n" + root()}, "trustgate.yaml:6:1: error TG2013 a set has one Root"),
        ({"trustgate.yaml": b""}, "TG2001 the file holds no document"),
        ({"trustgate.yaml": b"# only a comment\n---\n"}, "TG2001 the file holds no document"),
        (in_root("defaults: {}\n"), 'TG2006 missing key "noMatch"'),
        (in_root("defaults: {noMatch: {pull: deny}}\n"), 'TG2006 missing key "delete"'),
        (in_root(f"defaults:\n{NO_MATCH}  onError: stale\n"), f"TG2005 stale {LATE}"),
        (in_root(f"defaults:\n{NO_MATCH}  decisionBudget: 2s\n"), f'5:3: error TG2005 "decisionBudget" {LATE}'),
        (in_root(f"defaults:\n{NO_MATCH}breakGlass: {{enabled: true}}\n"), f'TG2005 "breakGlass" {LATE}'),
        (in_root(f"defaults:\n{NO_MATCH}projects: {{}}\n"), f'TG2005 "projects" {LATE}'),
        (in_root(f"defaults:\n{NO_MATCH}exemt: []\n"), 'TG2004 unknown key "exemt" (did you mean "exempt"?)'),
        (exempting('actions: [pull], rules: ["*"]'), "TG2006 names nobody"),
        (exempting('users: [anonymous], actions: [pull], rules: ["*"]'), "TG2007 \"anonymous\" is nobody"),
        (exempting('users: [a b], actions: [pull], rules: ["*"]'), "TG2008"),
        (exempting('users: [a], actions: [pull], rules: [signed]'), "TG2008 'signed' can match no name of a rule"),
        (exempting('users: [a], actions: [], rules: ["*"]'), "TG2012 is empty"),
        (exempting('users: [a], actions: [pull, pull], rules: ["*"]'), "TG2009 an action is listed twice"),
        (exempting('users: [a], actions: [copy], rules: ["*"]'), f"TG2005 copy {LATE}"),
        (in_root(f"defaults:\n{NO_MATCH}exempt: [{{users: [a], actions: [pull], rules: ['*']}}]\n"), 'TG2006 missing key "why"'),
        # the trust store
        (in_trust("attestors: {}\n"), "TG2012 is empty"),
        (in_trust("attestors: []\n"), "TG2007 expected a mapping, found a list"),
        (in_trust("attestors:\n  ci: {type: x509, issuer: x, identity: y}\n"), f"4:14: error TG2005 x509 {LATE}"),
        (in_trust("attestors:\n  ci: {type: keyless, issuer: x, identity: y}\n"), '4:3: error TG2006 missing key "trustRoot": attestor "ci" is of type keyless'),
        (in_trust("attestors:\n  ci: {type: keyless, identity: y, trustRoot: mine}\n"), '4:3: error TG2006 missing key "issuer": attestor "ci" is of type keyless'),
        (in_trust("attestors:\n  ci: {type: keyless, issuer: x, identity: y, trustRoot: mine}\n"), '4:58: error TG2010 no trust root "mine"'),
        (in_trust("attestors:\n  ci: {type: keyless, issuer: x, identity: {regex: 'y'}, trustRoot: mine}\n"), "4:34: error TG2007 the pattern 'y' is not anchored"),
        (in_trust("attestors:\n  ci: {type: keyless, issuer: {glob: x}, identity: y, trustRoot: mine}\n"), "TG2007 expected a text, or {regex: '^...$'}"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, issuer: x}\n"), '"issuer" does not belong to an attestor of type cosign-key'),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, logs: 1}\n"), "no trusted root says whose"),
        (in_trust("attestors:\n  ci: {type: cosign-key}\n"), 'TG2006 missing key "key": attestor "ci" is of type cosign-key'),
        (in_trust("attestors:\n  ci: {type: notary-v1, delegations: [targets/a]}\n"), "TG2011 the key of \"ci\": no root key is pinned"),
        (in_trust("attestors:\n  ci: {type: gpg, keyring: keys/ci.pub, fingerprints: [abc]}\n"), "TG2011 the key of \"ci\""),
        (in_trust("attestors:\n  ci: {type: notation, trustStores: {ca: [keys/ci.pub]}, trustedIdentities: ['*']}\n"), "TG2007"),
        (in_trust("attestors:\n  ci: {type: notation, trustStores: {tsa: [keys/ci.pub]}, trustedIdentities: []}\n"), "TG2012 is empty"),
        (in_trust("trustRoots: {mine: {type: tuf, mirror: x}}\nattestors:\n  ci: {type: cosign-key, key: keys/ci.pub}\n"), f"TG2005 tuf {LATE}"),
        (in_trust("trustRoots: {mine: {type: file, path: keys/ci.pub}}\nattestors:\n  ci: {type: cosign-key, key: keys/ci.pub}\n"), 'TG2011 the trust root "mine": the trusted root'),
        (in_trust("attestors:\n  ci: {type: cosign-key, kms: x}\n"), f'TG2005 "kms" {LATE}'),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/no.pub}\n"), "4:31: error TG2011"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: ../secret.pub}\n"), "leads out of trust/"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: /trust/keys/ci.pub}\n"), "leads out of trust/"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: a.yaml}\n"), "TG2011 the key of \"ci\""),
        (in_trust("attestors:\n  CI: {type: cosign-key, key: keys/ci.pub}\n"), "TG2007 attestor 'CI'"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, notAfter: 2027}\n"), "TG2007"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, notAfter: 2027-01-01T00:00:00}\n"), "no time zone"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, notAfter: 9999-12-31T23:59:59-23:59}\n"), "out of range"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub, notBefore: 2027-02-01, notAfter: 2027-01-01}\n"), "TG2012"),
        (in_trust("attestors:\n  ci: {type: cosign-key, key: keys/ci.pub}\n  ci: {type: cosign-key, key: keys/ci.pub}\n"), "5:3: error TG2001 the file has the key 'ci' twice"),
        (in_trust("trustRoots: {}\nattestors:\n  ci: {type: cosign-key, key: keys/ci.pub}\n"), "TG2012 is empty"),
        # policies
        (in_policy(top="mode: enforced\n"), "TG2007 expected one of enforce, warn, audit, off, found 'enforced'"),
        (in_policy(top="mode: {a: b}\n"), "found a mapping"),
        (in_policy(top="mode:\n"), "found nothing"),
        (in_policy(top="enforceAfter: 2026-12-15\n"), f'4:1: error TG2005 "enforceAfter" {LATE}'),
        (in_policy(top="onErrr: deny\n"), 'TG2004 unknown key "onErrr" (did you mean "onError"?)'),
        (in_policy("[]"), "TG2012 is empty"),
        (tree(f"{HEAD}kind: Policy\nmetadata: {{name: a}}\nscope: {{repositories: ['**']}}\n".encode()), 'TG2006 missing key "rules"'),
        (in_policy("- id: signed"), "TG2012 the rule names no check"),
        (in_policy(f"{SIGNED}\n  severity: {{thresholds: [{{kev: true}}]}}"), "TG2012 the rule names more than one check"),
        (in_policy("- id: c\n  cel: 'true'"), f'TG2005 "cel" {LATE}'),
        # attestation
        (attested(""), 'TG2006 missing key "predicateType"'),
        (attested("predicateType: https://slsa.dev/provenance/v1", by=""), 'TG2006 missing key "by"'),
        (attested("predicateType: []"), "TG2012 is empty"),
        (attested("predicateType: slsaprovenance"), "TG2007 'slsaprovenance' is a short name of cosign's; write the whole predicate type: https://slsa.dev/provenance/v0.2"),
        (attested("predicateType: [https://spdx.dev/Document, cyclonedx]"), "cosign's; write the whole predicate type: https://cyclonedx.org/bom"),
        (attested("predicateType: custom"), "write the whole predicate type: https://cosign.sigstore.dev/attestation/v1"),
        (attested("predicateType: slsa.dev/provenance/v1"), 'found \'slsa.dev/provenance/v1\' (did you mean "https://slsa.dev/provenance/v1"?)'),
        (attested("predicateType: spdx.dev/Documents"), '(did you mean "https://spdx.dev/Document"?)'),
        (attested("predicateType: 'https://a b'"), "TG2007 expected a predicate type, which is a whole URI"),
        (attested("predicateType: 'https://['"), "TG2007 expected a predicate type, which is a whole URI"),
        (attested("predicateType: 'https:'"), "TG2007 expected a predicate type, which is a whole URI"),
        (attested("predicateType: https://ä.example/v1"), "TG2007 expected a predicate type, which is a whole URI"),
        (attested(f"predicateType: https://example.com/{'a' * 512}"), "TG2007 expected a predicate type, which is a whole URI"),
        (attested("predicateType: ''"), "TG2007 expected a text, found an empty one"),
        (attested("predicateType: {a: b}"), "TG2007 expected a list, found a mapping"),
        (attested("predicateType: https://sigstore.dev/cosign/sign/v1"), "sign/v1 is a signature and attests nothing; ask for signatures with contentTrust"),
        (attested(f"{SLSA}, atLeast: 0"), "TG2007"),
        (attested(f"{SLSA}, maxAge: 1y"), "TG2007 expected a time span"),
        (attested(f"{SLSA}, children: all"), "TG2007 expected one of inherit, each"),
        (attested(f"{SLSA}, signatureMaxAge: 1d"), 'TG2004 unknown key "signatureMaxAge"'),
        (attested(SLSA, by="by: {attestor: cy}"), 'TG2010 no attestor "cy" in any TrustStore'),
        (attested(SLSA, by="by: {anyOf: [{attestor: ci}, {attestor: cy}]}"), 'TG2010 no attestor "cy"'),
        (attested(SLSA, by="by: {}"), "TG2012 expected exactly one of attestor, anyOf, allOf, atLeast"),
        (attested(SLSA, by="by: {atLeast: 2, of: [ci, ci]}"), "TG2012 2 distinct signers can never be found"),
        (attested(f"{SLSA}, cel: 'predicate.'"), "7:71: error TG2014 cel can't be compiled at its line 1, column 11"),
        (attested(f"{SLSA}, cel: 'item.a == 1'"), "TG2014 cel can't be compiled at its line 1, column 5: undeclared reference to 'item.a'"),
        (attested(f"{SLSA}, cel: 'now == 1'"), "undeclared reference to 'now'; it knows predicate"),
        (attested(f"{SLSA}, cel: 'predicate.a'"), "TG2014 cel has to be true or false (BOOL), and is DYN"),
        (attested(f"{SLSA}, cel: '1 == 1'"), "TG2014 cel does not mention predicate"),
        (attested(f"{SLSA}, cel: ''"), "TG2007 expected an expression, found nothing"),
        (attested(f"{SLSA}, cel: ['true']"), "TG2007 expected an expression, found a list"),
        (attested(f"{SLSA}, cel: '{'(' * 40}true{')' * 40}'"), "TG2014 cel is not understood: "),
        (attested(f"{SLSA}, cel: '{'true && ' * 700}true'"), "TG2014 cel has 5604 characters, at most 4096 are read"),
        (attested(f"{SLSA}, each: predicate.a"), 'TG2012 "each" and "denyWhen" stand together'),
        (attested(f"{SLSA}, denyWhen: 'true'"), 'TG2012 "each" and "denyWhen" stand together'),
        (attested(f"{SLSA}, each: packages, denyWhen: 'true'"), "TG2014 each is no path of names like predicate.packages"),
        (attested(f"{SLSA}, each: predicate, denyWhen: 'true'"), "TG2014 each is no path"),
        (attested(f"{SLSA}, each: 'predicate{'.a' * 17}', denyWhen: 'true'"), "TG2014 each is no path"),
        (attested(f"{SLSA}, each: predicate.a, denyWhen: 'predicate.a == 1'"), "TG2014 denyWhen can't be compiled"),
        (attested(f"{SLSA}, each: predicate.a, denyWhen: item"), "TG2014 denyWhen has to be true or false"),
        (attested(f"{SLSA}, message: x"), 'TG2007 "message" stands beside "cel" or "denyWhen" only'),
        (attested(SLSA, scope='actions: [delete], repositories: ["**"]'), "TG2012 attestation rules speak on"),
        (in_policy(SIGNED + "\n" + SIGNED), '8:9: error TG2009 rule "signed" stands twice'),
        (in_policy(SIGNED.replace("id: signed", "id: Signed")), "TG2007 'Signed' is no name"),
        (tree(policy(severe(), name="registry")), "is reserved"),
        (tree(policy(severe()), policy(severe())), "policies/p1.yaml:3:18: error TG2009 policy \"prod\" is defined twice (also at policies/p0.yaml:3)"),
        # scopes
        (in_policy(scope="repositories: []"), "TG2012 is empty"),
        (in_policy(scope='repositories: "prod/**"'), "TG2007 expected a list, found 'prod/**'"),
        (in_policy(scope='repositories: ["Prod/**"]'), "4:24: error TG2008 'Prod/**' can match no name"),
        (in_policy(scope='repositories: ["a//b"]'), "TG2008"),
        (in_policy(scope='repositories: ["-a"]'), "TG2008"),
        (in_policy(scope='repositories: ["a**/b"]'), "TG2008 'a**/b' has ** inside a part"),
        (in_policy(scope=f'repositories: ["{"a" * 300}"]'), "TG2008 a pattern has 1 to 255"),
        (in_policy(scope='repositories: ["a/b", "a/c"], exclude: {repositories: ["a/**"]}'), "TG2012 the scope matches nothing"),
        (in_policy(scope='repositories: ["a/b"], exclude: {repositories: ["**"]}'), "TG2012 the scope matches nothing"),
        (in_policy(scope='repositories: ["a/b"], exclude: {repositories: ["a/b"]}'), "TG2012 the scope matches nothing"),
        (in_policy(scope='repositories: ["**"], tags: {exclude: ["**"], untagged: exclude}'), "TG2012 every tag is excluded: the scope"),
        (in_policy(scope='repositories: ["**"], tags: {include: ["v*"], exclude: ["v*"]}'), "TG2012 every tag is excluded: only"),
        (in_policy(scope='repositories: ["**"], tags: {include: []}'), "TG2012 is empty"),
        (in_policy(scope='repositories: ["**"], tags: {include: [{regex: "^v"}]}'), "TG2005 a regex item is not supported"),
        (in_policy(scope='repositories: ["**"], tags: {include: ["a/b"]}'), "TG2008 'a/b' can match no name of a tag"),
        (in_policy(scope='repositories: ["**"], actions: []'), "TG2012 is empty"),
        (in_policy(scope='repositories: ["**"], actions: [delete]'), "TG2012 contentTrust rules speak on"),
        (in_policy(scope='repositories: ["**"], platforms: [linux/amd64]'), f'TG2005 "platforms" {LATE}'),
        (in_policy(scope='repositories: ["**"], clients: {groups: [a]}'), f'TG2005 "clients" {LATE}'),
        (in_policy(scope='repositories: ["**"], time: {}'), f'TG2005 "time" {LATE}'),
        (in_policy(scope='actions: [pull]'), 'TG2006 missing key "repositories"'),
        # contentTrust
        (requiring("{attestor: nobody}"), 'TG2010 no attestor "nobody" in any TrustStore'),
        (requiring("{attestor: alicce}"), '(did you mean "alice"?)'),
        (requiring("{}"), "TG2012 expected exactly one of"),
        (requiring("{attestor: ci, anyOf: [{attestor: ci}]}"), "TG2012 expected exactly one of"),
        (requiring("{anyOf: []}"), "TG2012 is empty"),
        (requiring("{allOf: []}"), "TG2012 is empty"),
        (requiring("{anyOf: [{}]}"), "TG2012 expected exactly one of"),
        (requiring("{allOf: [{attestor: ci}, {attestor: no}]}"), "TG2010"),
        (requiring("{atLeast: 3, of: [ci, alice]}"), "TG2012 3 distinct signers can never be found among 2"),
        (requiring("{atLeast: 2, of: [ci, ci]}"), "TG2012 2 distinct signers can never be found among 1"),
        (requiring("{atLeast: 1}"), 'TG2006 missing key "of"'),
        (requiring("{atLeast: 1, of: []}"), "TG2012 is empty"),
        (requiring("{atLeast: 0, of: [ci]}"), "TG2007"),
        (requiring("{atLeast: two, of: [ci]}"), "TG2007 expected a whole number"),
        (requiring('{atLeast: "2", of: [ci]}'), "TG2007 expected a whole number"),
        (requiring("{atLeast: 1, of: [no]}"), "TG2010"),
        (requiring("{atLeast: 1, of: [ci], distinct: name}"), "TG2007 expected one of identity"),
        (requiring("{attestor: ci, of: [ci]}"), 'TG2007 "of" and "distinct" stand beside "atLeast" only'),
        (requiring("{attestor: ci}", ", subject: manifest, children: inherit"), "TG2007 subject: manifest"),
        (requiring("{attestor: ci}", ", subject: index, children: each"), "TG2007 subject: index"),
        (requiring("{attestor: ci}", ", signatureMaxAge: soon"), "TG2007 expected a time span like 90d"),
        (requiring("{attestor: ci}", ", signatureMaxAge: 0d"), "TG2007 expected a time span like 90d"),
        (requiring("{attestor: ci}", ", transparencyLog: yes"), "TG2007 expected one of required, ifPresent"),
        (requiring("{attestor: ci}", ", timestamp: ignore"), "TG2005 ignore is not supported"),
        (requiring("{attestor: ci}", ", revocation: skip"), "TG2005 skip is not supported"),
        # severity
        (severity("thresholds: []"), "TG2012 is empty"),
        (severity("thresholds: [{}]"), "TG2006 a threshold names a severity, or kev: true"),
        (severity("thresholds: [{fixable: true}]"), "TG2006 a threshold names a severity, or kev: true"),
        (severity("thresholds: [{kev: false}]"), "TG2007 kev can only be true"),
        (severity("thresholds: [{kev: no}]"), "TG2007 expected true or false, found 'no'"),
        (severity("thresholds: [{kev: 'true'}]"), "TG2007 expected true or false, found 'true'"),
        (severity("thresholds: [{severity: unknown}]"), "TG2007 expected one of negligible"),
        (severity("thresholds: [{severity: high, fixible: true}]"), 'TG2004 unknown key "fixible" (did you mean "fixable"?)'),
        (severity("thresholds: [{severity: high, grace: 14d}]"), f'TG2005 "grace" {LATE}'),
        (severity("thresholds: [{severity: high}], vex: {}"), f'TG2005 "vex" {LATE}'),
        (severity("thresholds: [{severity: high}], onUnscanned: wait"), f"TG2005 wait {LATE}"),
        (severity("thresholds: high"), "TG2007 expected a list, found 'high'"),
        (severity("thresholds: [high]"), "TG2007 expected a mapping, found 'high'"),
        # immutability
        (once("overwrite: allow, delete: allow"), "TG2012 everything is allowed"),
        (once("sameDigest: deny"), 'TG2006 missing key "overwrite"'),
        (once("overwrite: deny, delete: tombstone"), f"TG2005 tombstone {LATE}"),
        (once("overwrite: deny, delete: {retention: tombstone}"), f'TG2005 "retention" {LATE}'),
        (once("overwrite: deny, mediaTypeChange: deny"), f'TG2005 "mediaTypeChange" {LATE}'),
        (once("overwrite: deny", 'repositories: ["**"]'), "TG2012 immutability rules speak on delete, push, tag"),
        # places
        (tree() | {"policies/a.yml": b""}, "policies/a.yml:1:1: error TG2002 files with policies end in .yaml"),
        (tree() | {"trustgate.yml": b""}, "TG2002 files with policies end in .yaml"),
        (tree() | {"policy/a.yaml": policy(severe())}, "policy/a.yaml:1:1: error TG2002 policies are read from"),
        (tree() | {"exceptions/a.yaml": b""}, f"TG2005 exceptions/ {LATE}"),
        (tree() | {"projects/a/b.yaml": b""}, f"TG2005 projects/ {LATE}"),
        (tree() | {"policies/big.yaml": b"#" * (layout.MAX_FILE_BYTES + 1)}, "TG2002 the file has 262145 bytes"),
        # YAML
        (tree(b"a: 1\na: 2\n"), "policies/p0.yaml:2:1: error TG2001 the file has the key 'a' twice in one mapping (first in line 1)"),
        (tree(b"a: &x [1]\n"), "TG2001 the file uses an anchor"),
        (tree(b"a: *x\n"), "1:4: error TG2001 the file uses an alias"),
        (tree(b"a: !!python/object:os.system x\n"), "TG2001 the file uses the tag"),
        (tree(b"a:\n\tb: c\n"), "2:1: error TG2001 the file holds a tab"),
        (tree(b"a: \xff\n"), "TG2001 the file is not UTF-8 at byte 3"),
        (tree(b"a: [b\n"), "TG2001 the file is not YAML"),
        (tree(b"a: \x07\n"), "TG2001 the file holds a character"),
        (tree(b"[" * 100_000), "TG2001 the file is nested deeper than 24 levels"),
        (tree(b"- " * 100_000), "TG2001 the file is nested deeper than 24 levels"),
        (tree(b"? [a]\n: b\n"), "TG2001 the file has a key that is not a text"),
        (tree(b"~: b\n"), "TG2001 the file has a key that is not a text"),
        (tree(b"[" + b"a," * 60_000 + b"]"), "TG2001 the file has more than 50000 values"),
        (tree(b"--- a\n" * 300), "TG2001 the file holds more than 200 documents"),
    ],
)  # fmt: skip
def test_problem(files: dict[str, bytes], expected: str) -> None:
    found = problems_of(files)
    assert any(expected in problem for problem in found), found


def test_all_problems_are_told_in_the_order_of_the_files() -> None:
    files = in_policy(f"{severe('{severty: high}')}\n- id: x", top="mode: of\n") | {"trust/b.yaml": b"a: [\n"}
    found = problems_of(files)
    assert len(found) == 3
    assert found == sorted(found, key=lambda text: text.partition(":")[0])


def test_a_missing_key_is_not_told_when_an_unknown_one_stands_there() -> None:
    assert problems_of(in_policy("- idd: a\n  severity: {thresholds: [{kev: true}]}")) == [
        'policies/p0.yaml:6:5: error TG2004 unknown key "idd" (did you mean "id"?)'
    ]


def test_an_unread_trust_store_makes_no_noise_about_attestors() -> None:
    files = in_policy() | {"trust/attestors.yaml": b"a: [\n"}
    assert not any("TG2010" in problem for problem in problems_of(files))
    files = in_policy() | {"trust/keys/ci.pub": b"no key"}
    assert [problem.split()[2] for problem in problems_of(files)] == ["TG2011"]


def test_duplicate_attestors_over_two_files() -> None:
    files = in_policy() | {"trust/b.yaml": trust("ci")}
    assert problems_of(files) == [
        'trust/b.yaml:4:3: error TG2009 attestor "ci" is defined twice (also at trust/attestors.yaml:4)'
    ]


def test_bounds_on_the_whole_set(monkeypatch: pytest.MonkeyPatch) -> None:
    too_many = tree() | {f"docs/{number}.yaml": b"" for number in range(layout.MAX_FILES)}
    assert "5001 files" in problems_of(too_many)[0]
    monkeypatch.setattr("trustgate.policy.document.MAX_TOTAL_BYTES", 10)
    assert "at most 10 are read" in problems_of(tree())[0]


def test_problems_are_bounded() -> None:
    many = "\n".join(f"k{number}: 1" for number in range(300))
    with pytest.raises(PolicyInvalid) as caught:
        load(in_policy(top=f"{many}\n"), revision="r")
    assert len(caught.value.problems) == 200
    assert "300 problems" in caught.value.message


def test_tests_and_foreign_yaml_are_left_alone() -> None:
    files = tree() | {
        "tests/a.yaml": policy("nonsense"),
        "ci/build.yaml": b"steps: [\n",
        "README.md": b"\xff",
    }
    assert problems_of(files) == []


def test_several_documents_and_inline_keys() -> None:
    inline = "".join(f"      {line}\n" for line in pem("ci").decode().splitlines())
    store = f"{HEAD}kind: TrustStore\nattestors:\n  ci:\n    type: cosign-key\n    key: |\n{inline}"
    both = store.encode() + b"---\n" + policy(SIGNED)
    policies = load({"trustgate.yaml": root(), "policies/all.yaml": both}, revision="r")
    assert [one.name for one in policies.attestors] == ["ci"]
    assert policies.rules[0].line == store.count("\n") + 1 + 6


def test_words_are_text_unless_the_schema_says_otherwise() -> None:
    scope = 'repositories: ["**"], tags: {include: [no, 1.10, 0123, 12:30, null-x]}'
    policies = policy_set(policy(severe(), scope=scope.replace("12:30, ", "")))
    include = policies.rules[0].scope.tags.include
    assert include is not None
    assert [glob.text for glob in include] == ["no", "1.10", "0123", "null-x"]


# --- whatever the bytes are ----------------------------------------------------------------------

GOOD = (
    policy(f"{SIGNED}\n{severe()}", top="mode: warn\nonError: deny\n")
    + b"---\n"
    + root()
    + b"---\n"
    + trust("ci")
)


@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_invalid(raw: bytes) -> None:
    problems_of({"trustgate.yaml": raw, "policies/a.yaml": raw, "trust/a.yaml": raw})


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 12),
    st.text(alphabet="[]{}:,-&*!|>'\"%@ \n\t#?ab0~", max_size=6),
)
def test_damaged_documents_load_or_are_invalid(at: int, cut: int, put: str) -> None:
    raw = GOOD[:at] + put.encode() + GOOD[at + cut :]
    problems_of({"trustgate.yaml": root(), "policies/a.yaml": raw, "trust/keys/ci.pub": pem("ci")})


json_like = st.recursive(
    st.sampled_from(["Root", "Policy", "no", "1", "", "~", "deny", "**", "v*", "ci", "2027-01-01", "enforce"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "metadata", "name", "scope", "rules", "id", "severity", "thresholds", "contentTrust",
                 "require", "anyOf", "atLeast", "of", "attestor", "immutability", "delete", "tags", "include",
                 "repositories", "exclude", "attestors", "type", "key", "defaults", "noMatch", "exempt", "ci"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(["Root", "Policy", "TrustStore"]),
    st.dictionaries(
        st.sampled_from(["metadata", "scope", "rules", "attestors", "defaults", "exempt", "mode"]),
        json_like,
        max_size=4,
    ),
)
def test_any_shape_loads_or_is_invalid(kind: str, body: dict[str, object]) -> None:
    raw = json.dumps({"apiVersion": "trustgate.dev/v1", "kind": kind, **body}).encode()
    problems_of({"trustgate.yaml": raw})
