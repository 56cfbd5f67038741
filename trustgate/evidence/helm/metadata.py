"""A chart's metadata as helm understands it: the fields of its ``Metadata``, in one normal form.

``helm package --sign`` signs what it read, marshalled anew: fields that it does not know are gone, empty
ones too. So two documents are compared by what helm reads from each, and not by their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.helm.yaml_text import Node, Scalar, read_mapping
from trustgate.oci.strict_json import Json

MAX_TEXT_CHARACTERS: Final = 256 * 1024
MAX_NAME_CHARACTERS: Final = 250
MAX_VERSION_CHARACTERS: Final = 128
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    r"v?(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){0,2}"
    rf"(?:-{_PART}(?:\.{_PART})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
"""Semantic versions, with the shorter forms that helm's own parser takes."""
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})


@dataclass(frozen=True, slots=True)
class ChartMetadata:
    """``fields`` in helm's names and normal form; ``unknown`` are those that helm drops."""

    name: str
    version: str
    fields: Mapping[str, Json] = field(hash=False)
    unknown: Mapping[str, Node] = field(hash=False, repr=False)

    @property
    def file_name(self) -> str:
        """What the package is called, and the only name under which its digest may be signed."""
        return f"{self.name}-{self.version}.tgz"

    @property
    def tag(self) -> str:
        """A ``+`` can't stand in a tag: helm writes an underscore."""
        return self.version.replace("+", "_")

    def difference(self, other: ChartMetadata) -> str:
        """The first field in which ``other`` says something else; empty when there is none."""
        for key in sorted({*self.fields, *other.fields}):
            if self.fields.get(key) != other.fields.get(key):
                return key
        unequal = (key for key, node in self.unknown.items() if other.unknown.get(key) != node)
        return next(unequal, "")


def read_metadata(text: str, what: str) -> ChartMetadata:
    """Metadata out of YAML. ``what`` begins messages. Raises ``HelmRefused``."""
    return metadata_of(read_mapping(text, what), what)


def metadata_of(document: Mapping[str, Node], what: str) -> ChartMetadata:
    """Metadata out of a tree. Raises ``HelmRefused``."""
    try:
        fields = _object(document, _METADATA)
    except HelmRefused as exc:
        raise HelmRefused(f"{what} {exc}") from exc
    fields.setdefault("apiVersion", "v1")
    name, version = fields.get("name"), fields.get("version")
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise HelmRefused(f"{what} has the name {str(name or '')[:40]!a}, which is not a chart's name")
    if not is_version(version):
        raise HelmRefused(
            f"{what} has the version {str(version or '')[:40]!a}, which is not a semantic version"
        )
    unknown = {key: node for key, node in document.items() if key not in _METADATA}
    return ChartMetadata(name, str(version), fields, unknown)


def is_version(text: object) -> bool:
    """Whether it can be a chart's version."""
    return isinstance(text, str) and len(text) <= MAX_VERSION_CHARACTERS and bool(_VERSION.fullmatch(text))


_Read = Callable[[Node], Json]


def _text(node: Node) -> str:
    """As Go decodes a YAML scalar into a string, cleaned as helm cleans it."""
    if not isinstance(node, Scalar):
        raise HelmRefused("is not a text")
    if len(node.text) > MAX_TEXT_CHARACTERS:
        raise HelmRefused(f"has more than {MAX_TEXT_CHARACTERS} characters")
    if node.is_null:
        return ""
    text = node.text
    if node.plain and text in _TRUE | _FALSE and len(text) > 1:
        return "true" if text in _TRUE else "false"
    if node.plain and len(text) <= 15 and _DECIMAL.fullmatch(text):
        return _go_float(float(text))
    return _sanitized(text)


def _go_float(number: float) -> str:
    """``strconv.FormatFloat(x, 'g', -1, 64)`` for what has few digits: 1.10 is 1.1, and 2.0 is 2."""
    return repr(number).removesuffix(".0")


def _sanitized(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    spaced = (" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if character == " " or character.isprintable())


def _flag(node: Node) -> bool:
    if isinstance(node, Scalar) and node.plain:
        if node.text in _TRUE:
            return True
        if node.text in _FALSE or node.is_null:
            return False
    raise HelmRefused("is neither true nor false")


def _list(node: Node, read: _Read) -> list[Json]:
    if isinstance(node, Scalar) and node.is_null:
        return []
    if not isinstance(node, list):
        raise HelmRefused("is not a list")
    return [read(item) for item in node]


def _texts(node: Node) -> Json:
    return _list(node, _text)


def _map(node: Node) -> Json:
    """Annotations: any key, each with a text."""
    if isinstance(node, Scalar) and node.is_null:
        return {}
    if not isinstance(node, dict):
        raise HelmRefused("is not a mapping")
    return {key: _text(value) for key, value in node.items()}


def _anything(node: Node) -> Json:
    """What helm keeps as it is: compared as it stands."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, list):
        return [_anything(item) for item in node]
    return {key: _anything(value) for key, value in node.items()}


_PERSON: Mapping[str, _Read] = {"name": _text, "email": _text, "url": _text}
_DEPENDENCY: Mapping[str, _Read] = {
    "name": _text,
    "version": _text,
    "repository": _text,
    "condition": _text,
    "tags": _texts,
    "enabled": _flag,
    "import-values": _anything,
    "alias": _text,
}


def _objects(schema: Mapping[str, _Read]) -> _Read:
    return lambda node: _list(node, lambda item: _object(_mapping(item), schema))


_METADATA: Mapping[str, _Read] = {
    **dict.fromkeys(
        (
            "name",
            "home",
            "version",
            "description",
            "icon",
            "apiVersion",
            "condition",
            "tags",
            "appVersion",
            "kubeVersion",
            "type",
        ),
        _text,
    ),
    "sources": _texts,
    "keywords": _texts,
    "maintainers": _objects(_PERSON),
    "annotations": _map,
    "deprecated": _flag,
    "dependencies": _objects(_DEPENDENCY),
}


def _mapping(node: Node) -> Mapping[str, Node]:
    if not isinstance(node, dict):
        raise HelmRefused("is not a mapping")
    return node


def _object(document: Mapping[str, Node], schema: Mapping[str, _Read]) -> dict[str, Json]:
    """The fields of ``schema`` that are there and not empty, as Go's ``omitempty`` leaves them."""
    result: dict[str, Json] = {}
    for key, node in document.items():
        read = schema.get(key)
        if read is None:
            _refuse_other_case(key, schema)
            continue
        try:
            value = read(node)
        except HelmRefused as exc:
            raise HelmRefused(f"has a field {key!a} that {exc}") from exc
        if value:
            result[key] = value
    return result


def _refuse_other_case(key: str, schema: Mapping[str, _Read]) -> None:
    """Go's JSON decoder takes ``Name`` for ``name``: one document would be two."""
    twin = next((known for known in schema if known.casefold() == key.casefold()), None)
    if twin is not None:
        raise HelmRefused(f"has the key {key[:40]!a}; it is written {twin!a}")
