"""The kinds of documents that a set of policy files is made of."""

from __future__ import annotations

from typing import Final

from trustgate.policy.schema import PolicyDocument, RootDocument, Strict
from trustgate.policy.trust_schema import TrustStoreDocument

KINDS: Final[dict[str, type[Strict]]] = {
    "Root": RootDocument,
    "TrustStore": TrustStoreDocument,
    "Policy": PolicyDocument,
}
LATER_KINDS: Final = frozenset({"Exceptions"})
