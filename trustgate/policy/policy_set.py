"""A whole set of policies, as one value that is never changed, only swapped."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from trustgate.evidence.attestation import TypedQuery
from trustgate.evidence.attestor import Attestor
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import Need, Request
from trustgate.policy.rules import Attestation, Exemption, NoMatch, Rule, Signers, words_of


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything that ``evaluate`` reads of the policy files."""

    revision: str
    trust_revision: str
    """SHA-256 over the files of the trust store, hex: judgements of signatures rest on these alone."""
    attestors: tuple[Attestor, ...]
    rules: tuple[Rule, ...]
    exemptions: tuple[Exemption, ...]
    no_match: NoMatch

    def rules_for(self, request: Request) -> tuple[Rule, ...]:
        """The rules that speak about ``request``, in the order of the files."""
        words = words_of(request)
        return tuple(rule for rule in self.rules if rule.applies_to(request, words))

    def exemption(self, request: Request, rule: str) -> Exemption | None:
        """The first exemption that lets ``request`` past ``rule``."""
        return next((one for one in self.exemptions if one.covers(request, rule)), None)

    def needs(self, request: Request) -> frozenset[Need]:
        """The evidence that the rules for ``request`` read; what only exempted rules read is not needed."""
        rules = self.rules_for(request)
        return frozenset(rule.check.need for rule in rules if self.exemption(request, rule.id) is None)

    def denied(self, request: Request) -> frozenset[str]:
        """Attestors whose evidence must not arrive with ``request``."""
        checks = (rule.check for rule in self.rules_for(request))
        return frozenset(one.name for check in checks if isinstance(check, Signers) for one in check.deny)

    def at_any_time(self, names: Collection[str], now: datetime) -> PolicySet:
        """These attestors without an end or a beginning: whoever is denied is so before and after, too."""
        late = [one for one in self.attestors if one.name in names and not one.in_time(now)]
        if not late:
            return self
        attestors = tuple(
            replace(one, not_before=None, not_after=None) if one in late else one for one in self.attestors
        )
        revision = " ".join((self.trust_revision, "at any time", *sorted(one.name for one in late)))
        return replace(self, attestors=attestors, trust_revision=revision)

    def about_signers(self) -> PolicySet:
        """``signers`` rules alone: for what is no manifest, and about which no other rule can speak."""
        rules = tuple(rule for rule in self.rules if isinstance(rule.check, Signers))
        return replace(self, rules=rules, no_match=replace(self.no_match, push="allow"))

    def asks_for(self, need: Need) -> bool:
        """Whether some rule reads that kind of evidence."""
        return any(rule.check.need is need and rule.mode != "off" for rule in self.rules)

    @property
    def queries(self) -> tuple[TypedQuery, ...]:
        """What rules ask of predicates, each once."""
        asked = [rule.check for rule in self.rules if isinstance(rule.check, Attestation)]
        return tuple(
            dict.fromkeys((one.predicate_types, one.query) for one in asked if one.query is not None)
        )

    @property
    def query_revision(self) -> str:
        """SHA-256 over what is asked of predicates, hex: judgements of attestations hold the answers."""
        asked = sorted(f"{query.id} {' '.join(types)}" for types, query in self.queries)
        return hashlib.sha256("\n".join(asked).encode()).hexdigest()

    def gates_pulls_of(self, repository: RepositoryName) -> bool:
        """Whether any pull from ``repository``, or mount out of it, could be refused."""
        return self.no_match.pull == "deny" or any(
            rule.mode == "enforce"
            and rule.scope.actions & rule.check.speaks_on & {"pull", "mount"}
            and rule.scope.holds(repository)
            for rule in self.rules
        )

    @property
    def summary(self) -> str:
        """For people: ``3 policies, 5 rules (2 enforced, 3 warn), 1 attestor``."""
        policies = len({rule.id.partition("/")[0] for rule in self.rules})
        modes = [rule.mode for rule in self.rules]
        shown = {"enforce": "enforced", "warn": "warn", "audit": "audit", "off": "off"}
        counts = ", ".join(f"{modes.count(mode)} {word}" for mode, word in shown.items() if mode in modes)
        rules = f"{_counted(len(modes), 'rule', 'rules')} ({counts or 'none'})"
        attestors = _counted(len(self.attestors), "attestor", "attestors")
        return f"{_counted(policies, 'policy', 'policies')}, {rules}, {attestors}"


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
