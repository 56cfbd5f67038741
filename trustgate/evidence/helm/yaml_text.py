"""YAML as a chart's metadata needs it: one meaning, bounded, values left as the text that stands there.

Helm's reader keeps the last of two equal keys, follows aliases, and takes keys in any case; two readers
could so see two documents in the same signed bytes. The tree is built from events, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml

from trustgate.evidence.helm.refusal import HelmRefused

MAX_DEPTH: Final = 16
MAX_NODES: Final = 20_000
_SHOWN: Final = 40
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; ``plain`` when it stands without quotes, and may so be a number or a null to YAML."""

    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


Node: TypeAlias = "Scalar | list[Node] | dict[str, Node]"


def read_mapping(text: str, what: str) -> dict[str, Node]:
    """The only document, which must be a mapping. Raises ``HelmRefused``; ``what`` begins its message."""
    try:
        root = _document(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as exc:
        problem = getattr(exc, "problem", None) or "it can not be read"
        raise HelmRefused(f"{what} is not YAML: {str(problem)[:_SHOWN]}") from exc
    except HelmRefused as exc:
        raise HelmRefused(f"{what} {exc}") from exc
    if not isinstance(root, dict):
        raise HelmRefused(f"{what} is not a mapping of keys to values")
    return root


def _document(events: Iterator[yaml.Event]) -> Node | None:
    builder = _Builder()
    documents = 0
    for event in events:
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise HelmRefused("holds more than one document")
        builder.add(event)
    return builder.root


class _Builder:
    """Puts nodes together; a stack instead of recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[list[Node] | dict[str, Node]] = []
        self._keys: list[str | None] = []
        """For each open node, the key that waits for its value."""
        self._nodes = 0

    def add(self, event: yaml.Event) -> None:
        match event:
            case yaml.AliasEvent():
                raise HelmRefused("uses an alias (*name), which is not read")
            case yaml.ScalarEvent():
                self._check(event)
                self._place(Scalar(str(event.value), not event.style))
            case yaml.MappingStartEvent():
                self._check(event)
                self._enter({})
            case yaml.SequenceStartEvent():
                self._check(event)
                self._enter([])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
                self._keys.pop()
            case _:
                pass  # beginnings and ends of the stream and of the document

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise HelmRefused(f"has more than {MAX_NODES} values")
        if event.anchor is not None:
            raise HelmRefused("uses an anchor (&name), which is not read")
        if event.tag is not None:
            raise HelmRefused(f"uses the tag {str(event.tag)[:_SHOWN]!a}, which is not read")

    def _enter(self, node: list[Node] | dict[str, Node]) -> None:
        self._place(node)
        if len(self._open) >= MAX_DEPTH:
            raise HelmRefused(f"is nested deeper than {MAX_DEPTH} levels")
        self._open.append(node)
        self._keys.append(None)

    def _place(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(node)
        elif key is None:
            self._keys[-1] = _key(parent, node)
        else:
            parent[key] = node
            self._keys[-1] = None


def _key(parent: dict[str, Node], node: Node) -> str:
    if not isinstance(node, Scalar) or node.is_null:
        raise HelmRefused("has a key that is not a text")
    if node.text == "<<":
        raise HelmRefused("uses a merge key (<<), which is not read")
    if node.text in parent:
        raise HelmRefused(f"has the key {node.text[:_SHOWN]!a} twice")
    return node.text
