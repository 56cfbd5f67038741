"""Attestors of the trust store: names, and the keys that prove them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from trustgate.errors import KeyUnreadable
from trustgate.evidence.attestor import Attestor, key_attestor
from trustgate.policy.layout import TRUST_FOLDER
from trustgate.policy.problems import Code, Problems
from trustgate.policy.reading import Document
from trustgate.policy.schema import AttestorEntry, TrustStoreDocument

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NAME_HELP: Final = "1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends"
_INLINE: Final = "-----BEGIN "


def build_attestors(
    documents: list[Document], files: Mapping[str, bytes], problems: Problems
) -> dict[str, Attestor]:
    """By name. An attestor that can't be read is noted and left out."""
    found: dict[str, Attestor] = {}
    named: dict[str, str] = {}
    for document in documents:
        if not isinstance(document.model, TrustStoreDocument):
            continue
        for name, entry in document.model.attestors.items():
            place = document.place("attestors", name)
            where = f"{document.path}:{place.line}"
            if not NAME.fullmatch(name):
                problems.trust_incomplete = True
                problems.add(
                    document.path, place, Code.WRONG_VALUE, f"attestor {name!r:.60}: a name has {NAME_HELP}"
                )
            elif name in named:
                message = f'attestor "{name}" is defined twice (also at {named[name]})'
                problems.add(document.path, place, Code.NOT_UNIQUE, message)
            else:
                named[name] = where
                built = _attestor(name, entry, document, files, problems)
                if built is not None:
                    found[name] = built
    return found


def _attestor(
    name: str, entry: AttestorEntry, document: Document, files: Mapping[str, bytes], problems: Problems
) -> Attestor | None:
    place = document.place("attestors", name, "key")
    if entry.not_before and entry.not_after and entry.not_before >= entry.not_after:
        message = f'attestor "{name}": notBefore is not before notAfter, so it never counts'
        problems.add(
            document.path, document.place("attestors", name, "notAfter"), Code.DECIDES_NOTHING, message
        )
    try:
        pem = _pem(entry.key, document.path, files)
        return key_attestor(
            name,
            pem,
            not_before=entry.not_before,
            not_after=entry.not_after,
            prehashed=entry.algorithm == "ed25519ph",
        )
    except KeyUnreadable as exc:
        problems.trust_incomplete = True
        hint = f" ({exc.hint})" if exc.hint else ""
        problems.add(document.path, place, Code.KEY_UNREADABLE, f'the key of "{name}": {exc.message}{hint}')
        return None


def _pem(key: str, path: str, files: Mapping[str, bytes]) -> bytes:
    """The key itself when it is written inline, else the file, relative to the document's folder."""
    if key.lstrip().startswith(_INLINE):
        return key.encode()
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), key))
    if key.startswith("/") or not target.startswith(TRUST_FOLDER):
        raise KeyUnreadable(
            f"{key[:80]!r} leads out of {TRUST_FOLDER}",
            hint="key files lie beside the trust store, in trust/",
        )
    if target not in files:
        raise KeyUnreadable(
            f"there is no file {target[:120]}", hint="paths are relative to this file's folder"
        )
    return files[target]
