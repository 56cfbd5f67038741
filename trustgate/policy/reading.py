"""From the bytes of one file to checked documents; what is wrong with them goes to ``Problems``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trustgate.policy.kinds import KINDS, LATER_KINDS
from trustgate.policy.problems import Code, Problems, did_you_mean
from trustgate.policy.schema import API_VERSION, NOT_SUPPORTED, WRONG_VALUE, Strict, kind_of
from trustgate.policy.trust_schema import TrustStoreDocument
from trustgate.policy.yaml_nodes import Mapping, Node, Place, Scalar, Sequence, YamlRefused, documents

Loc: TypeAlias = tuple[str | int, ...]
Shape: TypeAlias = type[Strict] | dict[str, type[Strict]] | None
"""The model of a mapping, or ``{"*": model}`` for free names."""

_EXPECTED: Final = {"list_type": "a list", "model_type": "a mapping", "dict_type": "a mapping"}
_TEST_KIND: Final = "PolicyTest"


@dataclass(frozen=True, slots=True)
class Document:
    """One document that fits its schema, with the places of everything in it."""

    path: str
    root: Mapping
    model: Strict

    def place(self, *loc: str | int) -> Place:
        """Where that key or item stands; where the nearest thing around it stands, if it was left out."""
        return place_in(self.root, loc)


def place_in(root: Node, loc: Loc) -> Place:
    """The place of the key, item or text at ``loc``."""
    node, place = root, root.place
    for step in loc:
        if isinstance(node, Mapping) and step in node.items:
            place, node = node.keys[str(step)], node.items[str(step)]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return node.place if isinstance(node, Scalar) and not node.is_null else place


def read(path: str, raw: bytes, problems: Problems) -> list[Document]:
    """The documents of one file that fit; the others are noted."""
    try:
        nodes = documents(raw)
    except YamlRefused as exc:
        problems.add(path, exc.place, Code.NOT_YAML, f"the file {exc}")
        problems.trust_incomplete = True  # whatever it would have defined
        return []
    found = (_document(path, node, problems) for node in nodes)
    return [document for document in found if document is not None]


def _document(path: str, node: Node, problems: Problems) -> Document | None:
    if not isinstance(node, Mapping):
        problems.add(path, node.place, Code.HEAD, "expected a mapping with apiVersion and kind")
        return None
    model = _model(path, node, problems)
    if model is None:
        return None
    document = _checked(path, node, model, problems)
    problems.trust_incomplete |= document is None and model is TrustStoreDocument
    return document


def _checked(path: str, node: Mapping, model: type[Strict], problems: Problems) -> Document | None:
    reader = _Reader(path, problems)
    values = reader.values(node, model)
    try:
        checked = model.model_validate(values)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            _note(path, node, error, reader.cut, problems)
        return None
    return None if reader.cut else Document(path, node, checked)


def _model(path: str, node: Mapping, problems: Problems) -> type[Strict] | None:
    version = _head(path, node, "apiVersion", problems)
    kind = _head(path, node, "kind", problems)
    if version and version != API_VERSION:
        message = f"apiVersion {version!r:.60} is not known here; expected {API_VERSION}"
        problems.add(path, place_in(node, ("apiVersion",)), Code.HEAD, message)
        return None
    if not version or not kind:
        return None
    if kind not in KINDS:
        problems.add(path, place_in(node, ("kind",)), *_wrong_kind(kind))
        return None
    return KINDS[kind]


def _head(path: str, node: Mapping, key: str, problems: Problems) -> str:
    value = node.items.get(key)
    if isinstance(value, Scalar) and value.text and not value.is_null:
        return value.text
    problems.add(path, place_in(node, (key,)), Code.HEAD, f'the document has no "{key}"')
    return ""


def _wrong_kind(kind: str) -> tuple[Code, str]:
    if kind in LATER_KINDS:
        return Code.NOT_SUPPORTED, f'kind "{kind}" is not supported by this version'
    if kind == _TEST_KIND:
        return Code.HEAD, 'kind "PolicyTest" belongs into tests/, which is never loaded'
    guess = did_you_mean(kind, KINDS)
    return Code.HEAD, f"kind {kind!r:.60} is unknown{guess}; expected {', '.join(KINDS)}"


class _Reader:
    """Turns nodes into what pydantic takes, and takes out the keys that do not belong there."""

    def __init__(self, path: str, problems: Problems) -> None:
        self._path = path
        self._problems = problems
        self.cut: set[Loc] = set()
        """Where keys were taken out: what is missing there is told already."""

    def values(self, node: Node, shape: Shape, loc: Loc = ()) -> object:
        """What ``node`` holds, as dicts, lists and ``Scalar``."""
        match node:
            case Scalar():
                return node
            case Sequence():
                return [self.values(item, shape, (*loc, at)) for at, item in enumerate(node.items)]
            case Mapping():
                return {
                    key: self.values(child, _inner(shape, key), (*loc, key))
                    for key, child in node.items.items()
                    if self._belongs(node, key, shape, loc)
                }

    def _belongs(self, node: Mapping, key: str, shape: Shape, loc: Loc) -> bool:
        if shape is None or isinstance(shape, dict) or key in shape.known_keys():
            return True
        self.cut.add(loc)
        if key in shape.later:
            code, message = Code.NOT_SUPPORTED, f'"{key}" is not supported by this version'
        else:
            guess = did_you_mean(key, shape.known_keys())
            code, message = Code.UNKNOWN_KEY, f'unknown key "{key[:60]}"{guess}'
        self._problems.add(self._path, node.keys[key], code, message)
        return False


def _inner(shape: Shape, key: str) -> Shape:
    if isinstance(shape, dict):
        return shape["*"]
    return shape.parts.get(key) if shape is not None else None


def _note(path: str, root: Mapping, error: ErrorDetails, cut: set[Loc], problems: Problems) -> None:
    loc: Loc = error["loc"]
    if error["type"] == "missing":
        if loc[:-1] not in cut:
            problems.add(path, place_in(root, loc), Code.MISSING_KEY, f'missing key "{loc[-1]}"')
        return
    code, message = _reason(error)
    problems.add(path, place_in(root, loc), code, message)


def _reason(error: ErrorDetails) -> tuple[Code, str]:
    kind = error["type"]
    if kind in _EXPECTED:
        return Code.WRONG_VALUE, f"expected {_EXPECTED[kind]}, found {kind_of(error['input'])}"
    if kind == "too_short":
        return Code.DECIDES_NOTHING, "is empty; what is empty decides nothing, so leave it out or fill it"
    if kind == NOT_SUPPORTED:
        return Code.NOT_SUPPORTED, error["msg"]
    if kind == WRONG_VALUE:
        return Code.WRONG_VALUE, error["msg"]
    return Code.WRONG_VALUE, f"is not valid here: {error['msg']}"
