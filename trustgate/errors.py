"""Every error of the house: one root, a code, a detail, a hint. No HTTP in here.

A message says what was tried, on what, what was expected and what was found; ``hint`` says what the
reader can do. The status on the wire stands in one table, ``api/errors.py``; the error reference in
``docs/`` is generated from the classes below, so each docstring is written for its readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class TrustgateError(Exception):
    """Something that trustgate was asked to do could not be done."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return self.message


# --- what was asked for is not well formed -------------------------------------------------------


class InvalidInput(TrustgateError):
    """A value does not have the form that its standard asks for."""

    code = "invalid-input"


class DigestInvalid(InvalidInput):
    """A digest is not ``sha256:`` or ``sha512:`` with lower-case hex, or content does not match it."""

    code = "digest-invalid"


class NameInvalid(InvalidInput):
    """A repository name does not follow the distribution specification."""

    code = "name-invalid"


class TagInvalid(InvalidInput):
    """A tag does not follow the distribution specification."""

    code = "tag-invalid"


class ReferenceInvalid(InvalidInput):
    """An image reference can't be read as HOST/REPOSITORY[:TAG][@DIGEST]."""

    code = "reference-invalid"


class ManifestInvalid(InvalidInput):
    """A manifest is refused: its body, its media type and what it points to do not fit together."""

    code = "manifest-invalid"


class ManifestTooLarge(ManifestInvalid):
    """A manifest is larger than the 4 MiB that a registry has to accept."""

    code = "manifest-too-large"


class ManifestBlobUnknown(InvalidInput):
    """A manifest points to a blob or manifest that this repository does not hold."""

    code = "manifest-blob-unknown"


class SizeInvalid(InvalidInput):
    """A body is shorter or longer than it was said to be."""

    code = "size-invalid"


class BodyTooLarge(SizeInvalid):
    """A request to the API, the token service or a page has a larger body than any of them needs."""

    code = "body-too-large"


class BlobTooLarge(SizeInvalid):
    """An upload goes on beyond what this registry takes as one blob."""

    code = "blob-too-large"


class RangeInvalid(InvalidInput):
    """A chunk does not begin where the upload stands, or a byte range lies outside the content."""

    code = "range-invalid"


class BlobUploadInvalid(InvalidInput):
    """An upload can't go on in the way it was asked to."""

    code = "blob-upload-invalid"


class Unsupported(TrustgateError):
    """The request is well formed, but this server does not offer what it asks for."""

    code = "unsupported"


# --- what was asked for is not there -------------------------------------------------------------


class NotFound(TrustgateError):
    """The thing that was asked for does not exist."""

    code = "not-found"


class NameUnknown(NotFound):
    """There is no such repository, or the caller may not know of it."""

    code = "name-unknown"


class ManifestUnknown(NotFound):
    """There is no such manifest or tag in the repository."""

    code = "manifest-unknown"


class BlobUnknown(NotFound):
    """There is no such blob in the repository."""

    code = "blob-unknown"


class BlobUploadUnknown(NotFound):
    """There is no such upload: it was finished, cancelled, or never begun."""

    code = "blob-upload-unknown"


# --- who asks, and what they may do --------------------------------------------------------------


class Unauthorized(TrustgateError):
    """The caller has not proven who they are, or the credential is wrong or has expired."""

    code = "unauthorized"


class Forbidden(TrustgateError):
    """The caller is known, and may not do this."""

    code = "forbidden"


class TooManyAttempts(TrustgateError):
    """Too many failed logins: the next one is answered later. ``retry_after_s`` says when."""

    code = "too-many-attempts"

    def __init__(self, message: str, *, retry_after_s: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Conflict(TrustgateError):
    """The thing exists already, or changed meanwhile."""

    code = "conflict"


# --- the machine ---------------------------------------------------------------------------------


class StorageFull(TrustgateError):
    """The disk has no room for the content; nothing was acknowledged and nothing is left behind."""

    code = "storage-full"


class StorageUnavailable(TrustgateError):
    """The database or the blob store can't be read or written."""

    code = "storage-unavailable"


class ConfigInvalid(TrustgateError):
    """Settings or command-line arguments do not fit together."""

    code = "config-invalid"


# --- policy, evidence, scans ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a policy file, where it stands, and its lint code (``TG2004``)."""

    path: str
    line: int
    column: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: error {self.code} {self.message}"


class PolicyInvalid(TrustgateError):
    """A set of policy files does not load; every problem is listed with file, line and column."""

    code = "policy-invalid"

    def __init__(self, message: str, *, problems: Sequence[Problem], hint: str = "") -> None:
        super().__init__(message, detail="\n".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)


class PolicySourceUnavailable(TrustgateError):
    """The place that policies come from (a git repository, a folder) can't be read."""

    code = "policy-source-unavailable"


class KeyUnreadable(TrustgateError):
    """A key file is not a key of a supported kind, or the password does not open it."""

    code = "key-unreadable"


class SigningKeyUnavailable(TrustgateError):
    """A key in a PKCS#11 token can't be asked, or what the token answers is no signature."""

    code = "signing-key-unavailable"


class OpenPgpUnavailable(TrustgateError):
    """GnuPG is not installed, or does not answer: nothing can be said about a chart's signature."""

    code = "openpgp-unavailable"


class ScanFailed(TrustgateError):
    """A scanner did not deliver a report; the reason is kept as evidence."""

    code = "scan-failed"


# --- other registries ----------------------------------------------------------------------------


class UpstreamFailed(TrustgateError):
    """Another registry could not be reached, or answered in a way that makes no sense."""

    code = "upstream-failed"


class AnswerTooLarge(UpstreamFailed):
    """Another machine, or a file that stands for it, has more bytes than are read."""

    code = "answer-too-large"


class UpstreamRefused(TrustgateError):
    """Another registry understood the request and refused it."""

    code = "upstream-refused"
