"""From an error of the house to HTTP: one table, one writer, for the distribution API.

Specification: distribution-spec, "Error Codes". Every class of ``trustgate.errors`` has a row, or inherits
the one of its nearest ancestor that has.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from trustgate import errors
from trustgate.flows.admit import Refused

MAX_MESSAGE_CHARACTERS = 600
REQUEST_ID_BYTES = 8

TABLE: Mapping[type[errors.TrustgateError], tuple[int, str]] = {
    errors.TrustgateError: (500, "UNKNOWN"),
    errors.InvalidInput: (400, "UNSUPPORTED"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.TagInvalid: (400, "MANIFEST_INVALID"),
    errors.ReferenceInvalid: (400, "NAME_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestTooLarge: (413, "MANIFEST_INVALID"),
    errors.ManifestBlobUnknown: (404, "MANIFEST_BLOB_UNKNOWN"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.BodyTooLarge: (413, "SIZE_INVALID"),
    errors.BlobTooLarge: (413, "SIZE_INVALID"),
    errors.RangeInvalid: (416, "BLOB_UPLOAD_INVALID"),
    errors.BlobUploadInvalid: (400, "BLOB_UPLOAD_INVALID"),
    errors.Unsupported: (405, "UNSUPPORTED"),
    errors.NotFound: (404, "NAME_UNKNOWN"),
    errors.NameUnknown: (404, "NAME_UNKNOWN"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.BlobUploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.Unauthorized: (401, "UNAUTHORIZED"),
    errors.Forbidden: (403, "DENIED"),
    Refused: (403, "DENIED"),
    errors.TooManyAttempts: (429, "TOOMANYREQUESTS"),
    errors.Conflict: (409, "DENIED"),
    errors.StorageFull: (507, "UNAVAILABLE"),
    errors.StorageUnavailable: (503, "UNAVAILABLE"),
    errors.ConfigInvalid: (500, "UNKNOWN"),
    errors.PolicyInvalid: (400, "UNSUPPORTED"),
    errors.PolicySourceUnavailable: (503, "UNAVAILABLE"),
    errors.KeyUnreadable: (400, "UNSUPPORTED"),
    errors.SigningKeyUnavailable: (503, "UNAVAILABLE"),
    errors.OpenPgpUnavailable: (503, "UNAVAILABLE"),
    errors.ScanFailed: (500, "UNKNOWN"),
    errors.UpstreamFailed: (502, "UNAVAILABLE"),
    errors.AnswerTooLarge: (502, "UNAVAILABLE"),
    errors.UpstreamRefused: (502, "UNAVAILABLE"),
}
_OUR_FAULT: Mapping[int, str] = {
    502: "another registry that this one needs does not answer well; try again later",
    503: "the registry can't reach its storage now; try again later",
    507: "the registry has no room for this content now; try again later",
}
"""What a client is told instead of the inside of the machine; the log has the whole message."""


def row_of(error: errors.TrustgateError) -> tuple[int, str]:
    """(status, code of the distribution specification) for an error."""
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return TABLE[errors.TrustgateError]


def error_body(error: errors.TrustgateError) -> bytes:
    """Exactly one error, and no ``detail``: some clients never show it, others print it as a Go map."""
    status, code = row_of(error)
    if status >= 500:
        return document(code, _OUR_FAULT.get(status, "internal error; the server's log says more"))
    message = error.message
    if error.hint and not isinstance(error, Refused):
        message = f"{message} ({error.hint})"
    return document(code, message)


def document(code: str, message: str) -> bytes:
    """The error document of the distribution specification; the message becomes one printable line."""
    return json.dumps({"errors": [{"code": code, "message": printable(message)}]}).encode()


def printable(text: str) -> str:
    """One line of printable ASCII: clients pass terminal escapes through to the terminal."""
    line = "".join(character if " " <= character <= "~" else "?" for character in text)
    return line[:MAX_MESSAGE_CHARACTERS]


def new_request_id() -> str:
    """What a surprise shows to the client, and the log beside the traceback."""
    return secrets.token_hex(REQUEST_ID_BYTES)
