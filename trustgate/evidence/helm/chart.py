"""A packaged chart: its digest, and its own Chart.yaml, read within limits and to the archive's end."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from trustgate.evidence.helm.metadata import ChartMetadata, metadata_of
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused
from trustgate.evidence.helm.tar import Member, read_members
from trustgate.evidence.helm.yaml_text import Node, Scalar, read_mapping
from trustgate.oci.digest import Digest

MAX_CHART_BYTES: Final = 20 * 1024 * 1024
"""Of the package. A release's secret holds 1 MiB, so charts that can be installed are far smaller."""
MAX_UNPACKED_BYTES: Final = 100 * 1024 * 1024
"""Helm's own limit."""
MAX_RATIO: Final = 400
_ALWAYS_UNPACKED_BYTES: Final = 4 * 1024 * 1024
"""Whatever the ratio: a small chart may well be made of repetitions."""
MAX_MEMBERS: Final = 20_000
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
_GZIP: Final = 31
_STEP_BYTES: Final = 64 * 1024
_CHART, _REQUIREMENTS = "Chart.yaml", "requirements.yaml"
_METADATA = frozenset({_CHART, _REQUIREMENTS})


@dataclass(frozen=True, slots=True)
class Chart:
    """A package's digest and size, and what its own Chart.yaml says."""

    digest: Digest
    size: int
    metadata: ChartMetadata


def read_chart(package: bytes) -> Chart:
    """Raises ``HelmRefused`` or ``HelmNotUnderstood``."""
    if len(package) > MAX_CHART_BYTES:
        raise HelmNotUnderstood(f"the chart has {len(package)} bytes, at most {MAX_CHART_BYTES} are read")
    if package[:2] != b"\x1f\x8b":
        raise HelmRefused("the chart is not a tar archive in gzip")
    try:
        documents = _documents(_Inflated(package))
    except HelmRefused:
        raise
    except zlib.error as exc:
        raise HelmRefused("the chart is not a tar archive in gzip") from exc
    return Chart(Digest.of(package), len(package), _metadata(documents))


def _metadata(documents: dict[str, bytes]) -> ChartMetadata:
    if _CHART not in documents:
        raise HelmRefused("the chart has no Chart.yaml in its folder")
    tree = _tree(documents[_CHART], "Chart.yaml")
    version = tree.get("apiVersion")
    if _REQUIREMENTS in documents and (version is None or version == Scalar("v1", plain=True)):
        tree = _with_requirements(tree, documents[_REQUIREMENTS])
    return metadata_of(tree, "Chart.yaml")


def _with_requirements(tree: dict[str, Node], raw: bytes) -> dict[str, Node]:
    """Charts of apiVersion v1 name their dependencies in a file of their own; helm signs those too."""
    requirements = _tree(raw, _REQUIREMENTS)
    if not set(requirements) <= {"dependencies"} or "dependencies" in tree:
        raise HelmRefused("requirements.yaml may hold dependencies only, and Chart.yaml then none")
    return {**tree, **requirements}


def _tree(raw: bytes, name: str) -> dict[str, Node]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise HelmRefused(f"{name} is not UTF-8 at byte {exc.start}") from exc
    return read_mapping(text.removeprefix("\ufeff"), name)


def _documents(content: _Inflated) -> dict[str, bytes]:
    """The files of the chart's own folder that hold metadata; every member is looked at."""
    found: dict[str, bytes] = {}
    folder = ""
    for count, (member, raw) in enumerate(read_members(content, _holds_metadata), 1):
        if count > MAX_MEMBERS:
            raise HelmRefused(f"the chart has more than {MAX_MEMBERS} files")
        _check_name(member)
        top, _, name = member.name.partition("/")
        folder = folder or top
        if top != folder:
            raise HelmRefused("the chart's files must lie in one folder")
        if name in _METADATA:
            if name in found:
                raise HelmRefused(f"the chart has two files {name}")
            found[name] = raw
    content.finish()
    return found


def _holds_metadata(member: Member) -> bool:
    if member.name.partition("/")[2] not in _METADATA:
        return False
    if member.size > MAX_DOCUMENT_BYTES:
        raise HelmRefused(f"the chart's {member.name[:60]!a} has more than {MAX_DOCUMENT_BYTES} bytes")
    return True


def _check_name(member: Member) -> None:
    """Names that readers take for others have no place in a chart."""
    parts = member.name.split("/")
    if "\\" in member.name or any(part in {"", ".", ".."} for part in parts):
        raise HelmRefused(f"the chart holds a file with the name {member.name[:60]!a}")


class _Inflated:
    """One gzip stream, unpacked while it is read, up to a limit."""

    def __init__(self, package: bytes) -> None:
        self._inflate = zlib.decompressobj(wbits=_GZIP)
        self._packed = memoryview(package)
        self._waiting = b""
        self._ready = bytearray()
        self._left = min(MAX_UNPACKED_BYTES, max(_ALWAYS_UNPACKED_BYTES, MAX_RATIO * len(package)))

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and self._step():
            pass
        piece = bytes(self._ready[:size])
        del self._ready[:size]
        return piece

    def finish(self) -> None:
        """The stream ends here, and was whole. Raises ``HelmRefused``."""
        while self._step():
            self._ready.clear()
        if not self._inflate.eof:
            raise HelmRefused("the chart is cut off")
        if self._inflate.unused_data or self._packed:
            raise HelmRefused("the chart has data after its gzip stream")

    def _step(self) -> bool:
        """Unpack a little more; false when there is no more."""
        if self._inflate.eof:
            return False
        if not self._waiting:
            self._waiting, self._packed = bytes(self._packed[:_STEP_BYTES]), self._packed[_STEP_BYTES:]
        offered = bool(self._waiting)
        unpacked = self._inflate.decompress(self._waiting, _STEP_BYTES)
        self._waiting = self._inflate.unconsumed_tail
        self._left -= len(unpacked)
        if self._left < 0:
            raise HelmRefused("the chart unpacks to more than it may: 100 MiB, and 400 times its size")
        self._ready += unpacked
        return offered or bool(unpacked)
