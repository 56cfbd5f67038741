"""YAML as far as policy files need it: bytes in, trees of text with line and column out.

Values are left as the text that stands in the file, since YAML's own guessing turns ``no`` into false,
``1.10`` into 1.1 and ``0123`` into 83: the schema says what a text is. Aliases, tags and tabs are refused,
keys that appear twice as well. The tree is built from the parser's events, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

MAX_DEPTH: Final = 24
"""Nesting levels; the deepest document that has a meaning has about ten."""
MAX_NODES: Final = 50_000
"""Keys, values and lists of one file."""
MAX_DOCUMENTS: Final = 200
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


class YamlRefused(ValueError):
    """The bytes are not YAML that is read here. The message says why, ``place`` where."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; ``plain`` when it stands without quotes."""

    place: Place
    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    place: Place
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Mapping


def documents(raw: bytes) -> tuple[Node, ...]:
    """Every document of a file. Raises ``YamlRefused``."""
    text = _text(raw)
    try:
        found = tuple(_documents(yaml.parse(text, Loader=yaml.CSafeLoader)))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise YamlRefused(f"is not YAML: {exc.problem or 'it can not be read'}", place) from exc
    except yaml.YAMLError as exc:
        raise YamlRefused("holds a character that YAML does not allow", Place(1, 1)) from exc
    if not found:
        raise YamlRefused("holds no document: an empty file decides nothing", Place(1, 1))
    return found


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise YamlRefused(f"is not UTF-8 at byte {exc.start}", Place(line, 1)) from exc
    position = text.find("\t")
    if position >= 0:
        raise YamlRefused("holds a tab; indent with spaces", _place_of(text, position))
    return text


def _place_of(text: str, position: int) -> Place:
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _documents(events: Iterator[yaml.Event]) -> Iterator[Node]:
    builder = _Builder()
    count = 0
    for event in events:
        if isinstance(event, yaml.DocumentEndEvent):
            count += 1
            if count > MAX_DOCUMENTS:
                raise YamlRefused(f"holds more than {MAX_DOCUMENTS} documents", _at(event))
            root = builder.take()
            if root is not None:
                yield root
        else:
            builder.add(event)


def _at(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


class _Builder:
    """Puts nodes together; a stack instead of recursion."""

    def __init__(self) -> None:
        self._open: list[Mapping | Sequence] = []
        self._pending: list[str | None] = []
        """For each open node, the key that waits for its value."""
        self._root: Node | None = None
        self._nodes = 0

    def take(self) -> Node | None:
        """The finished document; ``None`` when it holds nothing (a lone ``---``)."""
        root, self._root = self._root, None
        return None if isinstance(root, Scalar) and root.is_null else root

    def add(self, event: yaml.Event) -> None:
        match event:
            case yaml.AliasEvent():
                raise YamlRefused(
                    "uses an alias (*name); aliases are not read, write the value out", _at(event)
                )
            case yaml.ScalarEvent():
                self._check(event)
                self._place(Scalar(_at(event), str(event.value), not event.style))
            case yaml.MappingStartEvent():
                self._check(event)
                self._enter(Mapping(_at(event)))
            case yaml.SequenceStartEvent():
                self._check(event)
                self._enter(Sequence(_at(event)))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
                self._pending.pop()
            case _:
                pass  # beginnings of the stream and of documents

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise YamlRefused(f"has more than {MAX_NODES} values", _at(event))
        if event.anchor is not None:
            raise YamlRefused("uses an anchor (&name); anchors are not read, write the value out", _at(event))
        if event.tag is not None:
            raise YamlRefused(f"uses the tag {event.tag[:_SHOWN]!r}; tags are not read", _at(event))

    def _enter(self, node: Mapping | Sequence) -> None:
        self._place(node)
        if len(self._open) >= MAX_DEPTH:
            raise YamlRefused(f"is nested deeper than {MAX_DEPTH} levels", node.place)
        self._open.append(node)
        self._pending.append(None)

    def _place(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif self._pending[-1] is None:
            self._pending[-1] = self._key(parent, node)
        else:
            parent.items[self._pending[-1]] = node
            self._pending[-1] = None

    def _key(self, parent: Mapping, node: Node) -> str:
        if not isinstance(node, Scalar) or node.is_null:
            raise YamlRefused("has a key that is not a text", node.place)
        if node.text in parent.keys:
            first = parent.keys[node.text]
            raise YamlRefused(
                f"has the key {node.text[:_SHOWN]!r} twice in one mapping (first in line {first.line})",
                node.place,
            )
        parent.keys[node.text] = node.place
        return node.text
