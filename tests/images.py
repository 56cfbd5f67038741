"""Small images and hostile layers, built in Python as OCI blobs; and OSV zips from a list of records.

``write_osv_zip(path, records)`` makes what ``trustgate db import`` reads: one JSON record a file.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.scanning import Blob, ScanRequest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CONFIG = b'{"architecture": "amd64", "os": "linux"}'
BLOCK = 512
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"


# --- layers ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A member that is no ordinary file."""

    kind: bytes
    target: str = ""
    size: int = 0


def symlink(target: str) -> Node:
    return Node(tarfile.SYMTYPE, target)


def hard_link(target: str) -> Node:
    return Node(tarfile.LNKTYPE, target)


FOLDER = Node(tarfile.DIRTYPE)
DEVICE = Node(tarfile.CHRTYPE)
PIPE = Node(tarfile.FIFOTYPE)
WHITEOUT = b""
Members = Mapping[str, "bytes | str | Node"] | Sequence[tuple[str, "bytes | str | Node"]]


def tar(members: Members, *, style: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive; the order of ``members`` is kept, and a name may come twice in a list of pairs."""
    buffer = io.BytesIO()
    pairs = members.items() if isinstance(members, Mapping) else members
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        for name, content in pairs:
            info = tarfile.TarInfo(name)
            if isinstance(content, Node):
                info.type, info.linkname, info.size = content.kind, content.target, content.size
                archive.addfile(info)
                continue
            raw = content.encode() if isinstance(content, str) else content
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def layer(members: Members) -> bytes:
    """A gzip layer."""
    return gzip.compress(tar(members), 1, mtime=0)


# --- whole images ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """An image manifest and every blob that it names."""

    manifest: Manifest
    blobs: Mapping[Digest, bytes] = field(repr=False)

    def request(
        self, folder: Path, *, deadline_s: float = 60.0, without: Iterable[Digest] = ()
    ) -> ScanRequest:
        """The blobs as files in ``folder``, but for those that are ``without``."""
        for digest, content in self.blobs.items():
            if digest not in set(without):
                (folder / digest.hex).write_bytes(content)
        config = self.manifest.config
        assert config is not None
        blobs = [Blob(d.digest, d.media_type, d.size, folder / d.digest.hex) for d in self.manifest.blobs]
        return ScanRequest(
            repository="shop/web",
            manifest=self.manifest,
            config=blobs[0],
            layers=tuple(blobs[1:]),
            now=NOW,
            deadline_s=deadline_s,
            max_report_bytes=32 * 1024 * 1024,
        )


def image(
    *layers: bytes,
    config_type: str = media.OCI_CONFIG,
    layer_type: str = media.OCI_LAYER_TAR_GZIP,
    config: bytes = CONFIG,
) -> Image:
    blobs = {Digest.of(content): content for content in (config, *layers)}
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": config_type, "digest": Digest.of(config), "size": len(config)},
        "layers": [
            {"mediaType": layer_type, "digest": Digest.of(content), "size": len(content)}
            for content in layers
        ],
    }
    return Image(parse_manifest(json.dumps(document).encode()), blobs)


# --- what is in them -------------------------------------------------------------------------------

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
ALPINE = "ID=alpine\nVERSION_ID=3.19.1\n"


def dpkg_status(*packages: tuple[str, str], source: str = "") -> str:
    stanzas = []
    for name, version in packages:
        origin = f"Source: {source}\n" if source else ""
        stanzas.append(
            f"Package: {name}\nStatus: install ok installed\n{origin}Version: {version}\nDescription: a\n b\n"
        )
    return "\n".join(stanzas)


def debian(*packages: tuple[str, str], source: str = "") -> dict[str, bytes | str | Node]:
    return {
        "etc/os-release": symlink("../usr/lib/os-release"),
        "usr/lib/os-release": DEBIAN,
        "var/lib/dpkg/status": dpkg_status(*packages, source=source),
    }


def alpine(*packages: tuple[str, str, str]) -> dict[str, bytes | str | Node]:
    """(name, version, origin)."""
    blocks = [
        f"P:{name}\nV:{version}\no:{origin}\nF:usr/bin\nR:{name}\n" for name, version, origin in packages
    ]
    return {"etc/os-release": ALPINE, "lib/apk/db/installed": "\n".join(blocks)}


def python_package(
    name: str, version: str, folder: str = "app/site-packages"
) -> dict[str, bytes | str | Node]:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx"
    return {f"{folder}/{name}-{version}.dist-info/METADATA": metadata}


def npm_package(name: str, version: str, folder: str = "app/node_modules") -> dict[str, bytes | str | Node]:
    return {f"{folder}/{name}/package.json": json.dumps({"name": name, "version": version})}


def go_program(modules: str, *, version: str = "go1.21.5", at: int = 4096, flags: int = 2) -> bytes:
    """An ELF header's first bytes and, at ``at``, the build information as the linker writes it."""
    framed = b"0123456789abcdef" + modules.encode() + b"fedcba9876543210" if modules else b""
    info = b"\xff Go buildinf:" + bytes((8, flags)) + bytes(16)
    info += _varint(len(version)) + version.encode() + _varint(len(framed)) + framed
    return b"\x7fELF".ljust(at, b"\0") + info + bytes(64)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


# --- hostile layers --------------------------------------------------------------------------------


def many_members(path: Path, number: int) -> None:
    """A gzip layer of ``number`` empty files, written without holding them."""
    header = tar({"f00000000": b""})[:BLOCK]
    before, after = header[9:148], header[156:]
    rest = sum(before) + 8 * ord(" ") + sum(after)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for first in range(0, number, 1000):
            names = [b"f%08d" % n for n in range(first, min(number, first + 1000))]
            file.write(b"".join(b"%b%b%06o\0 %b" % (n, before, rest + sum(n), after) for n in names))
        file.write(bytes(2 * BLOCK))


def bomb(path: Path, size: int, *, name: str = "zeros") -> None:
    """One file of ``size`` zeros: gzip packs it about 1000 to 1."""
    info = tarfile.TarInfo(name)
    info.size = size
    engine = zlib.compressobj(9, wbits=31)
    piece = bytes(1024 * 1024)
    with path.open("wb") as file:
        file.write(engine.compress(info.tobuf()))
        for _ in range(size // len(piece)):
            file.write(engine.compress(piece))
        file.write(engine.compress(bytes(2 * BLOCK)) + engine.flush())


def layer_request(path: Path, folder: Path, **changes: Any) -> ScanRequest:
    """A request for an image with one layer, which lies in ``path`` (its digest is not computed)."""
    request = image(layer({})).request(folder, **changes)
    only = request.layers[0]
    changed = Blob(only.digest, only.media_type, path.stat().st_size, path)
    return ScanRequest(
        request.repository,
        request.manifest,
        request.config,
        (changed,),
        NOW,
        request.deadline_s,
        32 * 1024**2,
    )


# --- advisories ------------------------------------------------------------------------------------


def advisory(
    identity: str,
    ecosystem: str,
    name: str,
    events: Sequence[Mapping[str, str]],
    *,
    kind: str = "ECOSYSTEM",
    **more: Any,
) -> dict[str, Any]:
    """One OSV record about one package; ``more`` are further top-level fields."""
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": kind, "events": list(events)}],
    }
    return {
        "schema_version": "1.7.0",
        "id": identity,
        "modified": "2026-01-01T00:00:00Z",
        "affected": [affected],
    } | more


def until(fixed: str) -> list[dict[str, str]]:
    """Everything before ``fixed``."""
    return [{"introduced": "0"}, {"fixed": fixed}]


def write_osv_zip(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """One JSON record a file, as OSV's ``all.zip``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return path


def write_kev(path: Path, cves: Iterable[str]) -> Path:
    listed = [{"cveID": cve, "dateAdded": "2026-01-01"} for cve in cves]
    path.write_text(json.dumps({"title": "KEV", "count": len(listed), "vulnerabilities": listed}))
    return path


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    """``content`` as a stream that is cut anywhere."""
    return (content[at : at + size] for at in range(0, len(content), size))
