"""From checked documents to rules: names are resolved, and what could never decide anything is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.predicate_query import PredicateQuery, QueryRefused, read_expression, read_path
from trustgate.evidence.scan_report import Severity
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.policy import schema
from trustgate.policy.attestors import NAME, NAME_HELP
from trustgate.policy.checks.requirements import attestors_of
from trustgate.policy.problems import Code, did_you_mean
from trustgate.policy.rules import (
    AllOf,
    AnyOf,
    AtLeast,
    Attestation,
    Check,
    Conditions,
    ContentTrust,
    Immutability,
    NoMatch,
    Requirement,
    Rule,
    Scope,
    SeverityLimit,
    SignedBy,
    Signers,
    TagScope,
    Threshold,
)
from trustgate.policy.scopes import Site, build_scope

RESERVED: Final = frozenset({"root", "registry"})
"""``root/no-match`` and ``registry/blob-fence`` are rules of the house."""
MAX_RULE_MESSAGE_CHARACTERS: Final = 200
_KINDS: Final = ("contentTrust", "attestation", "severity", "immutability", "signers")


def build_policy(
    policy: schema.PolicyDocument,
    site: Site,
    attestors: Mapping[str, Attestor],
    *,
    on_error: str,
) -> list[Rule]:
    """The rules of one policy."""
    _check_name(policy.metadata.name, site.at("metadata", "name"))
    scope = build_scope(policy.scope, site.at("scope"))
    built: list[Rule] = []
    seen: set[str] = set()
    for at, rule in enumerate(policy.rules):
        here = site.at("rules", at)
        _check_name(rule.id, here.at("id"))
        if rule.id in seen:
            here.at("id").complain(Code.NOT_UNIQUE, f'rule "{rule.id}" stands twice in this policy')
        seen.add(rule.id)
        check = _check(rule, here, attestors)
        if check is None:
            continue
        _check_speaks(check, scope, here)
        built.append(
            Rule(
                id=f"{policy.metadata.name}/{rule.id}",
                file=site.document.path,
                line=here.line,
                mode=rule.mode or policy.mode,
                allow_on_error=(policy.on_error or on_error) == "allow",
                scope=scope,
                check=check,
            )
        )
    return built


def build_no_match(root: schema.RootDocument, site: Site) -> NoMatch:
    """What the root says of requests that no rule speaks about."""
    no_match = root.defaults.no_match
    line = site.at("defaults", "noMatch").line
    return NoMatch(no_match.pull, no_match.push, no_match.delete, site.document.path, line)


def _check_name(name: str, site: Site) -> None:
    if not NAME.fullmatch(name):
        site.complain(Code.WRONG_VALUE, f"{name!r:.60} is no name: expected {NAME_HELP}")
    elif site.loc[0] == "metadata" and name in RESERVED:
        site.complain(Code.WRONG_VALUE, f'the name "{name}" is reserved for rules of the registry itself')


def _check_speaks(check: Check, scope: Scope, site: Site) -> None:
    if not scope.actions & check.speaks_on:
        words = ", ".join(sorted(check.speaks_on))
        site.complain(
            Code.DECIDES_NOTHING,
            f"{check.kind} rules speak on {words}, and scope.actions names none of these",
        )
    if isinstance(check, Signers) and scope.tags != TagScope():
        site.complain(
            Code.WRONG_VALUE,
            "signers rules can't be narrowed by tags: signatures have tags of their own, or none; "
            "put the rule into a policy without scope.tags",
        )


def _check(rule: schema.Rule, site: Site, attestors: Mapping[str, Attestor]) -> Check | None:
    kinds = (rule.content_trust, rule.attestation, rule.severity, rule.immutability, rule.signers)
    given = [kind for kind in kinds if kind is not None]
    if len(given) != 1:
        what = "names no check" if not given else "names more than one check"
        site.complain(Code.DECIDES_NOTHING, f"the rule {what}: expected one of {', '.join(_KINDS)}")
        return None
    match given[0]:
        case schema.ContentTrust() as trust:
            return _content_trust(trust, site.at("contentTrust"), attestors)
        case schema.Attestation() as attestation:
            return _attestation(attestation, site.at("attestation"), attestors)
        case schema.Severity() as severity:
            return _severity(severity, site.at("severity"))
        case schema.Immutability() as immutability:
            return _immutability(immutability, site.at("immutability"))
        case schema.Signers() as signers:
            return _signers(signers, site.at("signers"), attestors)


# --- contentTrust --------------------------------------------------------------------------------


def _content_trust(
    trust: schema.ContentTrust, site: Site, attestors: Mapping[str, Attestor]
) -> ContentTrust | None:
    require = _requirement(trust.require, site.at("require"), attestors)
    children = trust.children or ("each" if trust.subject == "manifest" else "inherit")
    if trust.subject == "manifest" and children == "inherit":
        site.at("children").complain(
            Code.WRONG_VALUE, "subject: manifest asks each manifest for its own signature; leave children out"
        )
    if trust.subject == "index" and children == "each":
        site.at("children").complain(
            Code.WRONG_VALUE, "subject: index never looks at the children's signatures; leave children out"
        )
    if require is None:
        return None
    return ContentTrust(
        require=require,
        subject=trust.subject,
        inherits=children == "inherit",
        each=children == "each",
        same_repository=trust.reference == "same-repository",
        conditions=Conditions(
            max_age=trust.signature_max_age,
            log=trust.transparency_log,
            timestamp=trust.timestamp == "always",
            revocation=trust.revocation == "enforce",
        ),
    )


def _requirement(
    node: schema.Requirement, site: Site, attestors: Mapping[str, Attestor]
) -> Requirement | None:
    given = {"attestor": node.attestor, "anyOf": node.any_of, "allOf": node.all_of, "atLeast": node.at_least}
    words = [word for word, value in given.items() if value is not None]
    if len(words) != 1:
        site.complain(Code.DECIDES_NOTHING, f"expected exactly one of {', '.join(given)}; found {len(words)}")
        return None
    if words != ["atLeast"] and (node.of is not None or node.distinct is not None):
        site.complain(Code.WRONG_VALUE, '"of" and "distinct" stand beside "atLeast" only')
        return None
    if node.attestor is not None:
        signer = _signer(node.attestor, site.at("attestor"), attestors)
        return SignedBy(signer) if signer else None
    if node.any_of is not None:
        items = _requirements(node.any_of, site.at("anyOf"), attestors)
        return AnyOf(items) if items else None
    if node.all_of is not None:
        items = _requirements(node.all_of, site.at("allOf"), attestors)
        return AllOf(items) if items else None
    return _at_least(node, site, attestors)


def _requirements(
    nodes: list[schema.Requirement], site: Site, attestors: Mapping[str, Attestor]
) -> tuple[Requirement, ...]:
    """Nothing at all when one of them could not be read: then the set does not load anyway."""
    items = [_requirement(node, site.at(at), attestors) for at, node in enumerate(nodes)]
    built = tuple(item for item in items if item is not None)
    return built if len(built) == len(nodes) else ()


def _at_least(node: schema.Requirement, site: Site, attestors: Mapping[str, Attestor]) -> AtLeast | None:
    count = node.at_least or 0
    if node.of is None:
        site.complain(Code.MISSING_KEY, 'missing key "of": whose signatures count?')
        return None
    known = _named(node.of, site.at("of"), attestors)
    if len(known) < len(node.of):
        return None
    most = len({signer.sole_identity or signer.name for signer in known})
    if count > most:
        message = f"{count} distinct signers can never be found among {most} distinct keys"
        site.at("atLeast").complain(Code.DECIDES_NOTHING, message)
    return AtLeast(count, known)


def _named(names: list[str], site: Site, attestors: Mapping[str, Attestor]) -> tuple[Attestor, ...]:
    """Those of ``names`` that the trust store has."""
    signers = (_signer(name, site.at(at), attestors) for at, name in enumerate(names))
    return tuple(signer for signer in signers if signer is not None)


def _signer(name: str, site: Site, attestors: Mapping[str, Attestor]) -> Attestor | None:
    if name not in attestors and not site.problems.trust_incomplete:
        guess = did_you_mean(name, attestors)
        site.complain(Code.UNKNOWN_ATTESTOR, f'no attestor "{name[:60]}" in any TrustStore{guess}')
    return attestors.get(name)


# --- attestation ---------------------------------------------------------------------------------


def _attestation(
    node: schema.Attestation, site: Site, attestors: Mapping[str, Attestor]
) -> Attestation | None:
    by = _requirement(node.by, site.at("by"), attestors)
    if by is None:
        return None
    mute = [one.name for one in attestors_of(by) if not isinstance(one.trust, KeyTrust | KeylessTrust)]
    if mute:
        message = f'attestor "{mute[0]}" can attest nothing: attestations are signed by cosign-key or keyless'
        site.at("by").complain(Code.DECIDES_NOTHING, message)
    return Attestation(
        predicate_types=tuple(dict.fromkeys(node.predicate_type)),
        by=by,
        at_least=node.at_least,
        inherits=node.children == "inherit",
        each=node.children == "each",
        conditions=Conditions(
            max_age=node.max_age,
            max_age_key="maxAge",
            log=node.transparency_log,
            timestamp=node.timestamp == "always",
        ),
        query=_query(node, site),
        message=node.message[:MAX_RULE_MESSAGE_CHARACTERS],
    )


def _query(node: schema.Attestation, site: Site) -> PredicateQuery | None:
    """What is asked of the predicates; each part is told apart where it is wrong."""
    if bool(node.each) != bool(node.deny_when):
        site.complain(Code.DECIDES_NOTHING, '"each" and "denyWhen" stand together: a list, and what to deny')
    if node.message and not (node.cel or node.deny_when):
        site.at("message").complain(Code.WRONG_VALUE, '"message" stands beside "cel" or "denyWhen" only')
    parts = {"cel": node.cel, "each": node.each, "denyWhen": node.deny_when}
    readers: dict[str, Callable[[str], object]] = {
        "cel": partial(read_expression, of_item=False),
        "each": read_path,
        "denyWhen": partial(read_expression, of_item=True),
    }
    for key, text in parts.items():
        try:
            if text:
                readers[key](text)
        except QueryRefused as exc:
            site.at(key).complain(Code.EXPRESSION, f"{key} {exc}")
            return None
    if not any(parts.values()):
        return None
    return PredicateQuery(node.cel, read_path(node.each) if node.each else (), node.deny_when)


# --- signers -------------------------------------------------------------------------------------


def _signers(node: schema.Signers, site: Site, attestors: Mapping[str, Attestor]) -> Signers | None:
    """``None`` where names are missing: a rule that denies fewer than it says must not be built."""
    given = {"only": node.only, "deny": node.deny}
    named = {word: names for word, names in given.items() if names is not None}
    if len(named) != 1:
        site.complain(Code.DECIDES_NOTHING, f"expected exactly one of only, deny; found {len(named)}")
        return None
    ((word, names),) = named.items()
    known = _named(names, site.at(word), attestors)
    if len(known) < len(names):
        return None
    return Signers(only=known) if word == "only" else Signers(deny=known)


# --- severity, immutability ----------------------------------------------------------------------


def _severity(node: schema.Severity, site: Site) -> SeverityLimit:
    thresholds = tuple(_threshold(item, site.at("thresholds", at)) for at, item in enumerate(node.thresholds))
    unranked = None if node.unknown_severity == "allow" else Severity(node.unknown_severity)
    return SeverityLimit(thresholds, node.on_unscanned, node.on_unscannable, unranked)


def _threshold(node: schema.Threshold, site: Site) -> Threshold:
    if node.kev is False:
        site.at("kev").complain(Code.WRONG_VALUE, "kev can only be true; leave it out otherwise")
    if node.severity is None and node.kev is None:
        site.complain(Code.MISSING_KEY, "a threshold names a severity, or kev: true")
    least = Severity(node.severity) if node.severity else None
    return Threshold(least, node.fixable, bool(node.kev))


def _immutability(node: schema.Immutability, site: Site) -> Immutability:
    check = Immutability(
        overwrite=node.overwrite == "deny",
        same_digest=node.same_digest == "deny",
        delete_tag=node.delete.tag == "deny",
        delete_artifact=node.delete.artifact == "deny",
        exempt_referrers=node.exempt_referrers,
    )
    if not (check.overwrite or check.same_digest or check.delete_tag or check.delete_artifact):
        site.complain(Code.DECIDES_NOTHING, "everything is allowed, so the rule can refuse nothing")
    return check
