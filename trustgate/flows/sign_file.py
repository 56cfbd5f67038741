"""Sign a file: a bundle that stands beside it."""

from __future__ import annotations

import hashlib

from trustgate.errors import InvalidInput
from trustgate.evidence.dsse import Malformed, read_statement
from trustgate.evidence.signing import bundle_of, dsse_document
from trustgate.evidence.sigstore_signing.material import b64
from trustgate.flows.signatory import Signatory, sign_content, sign_statement
from trustgate.oci.strict_json import Json


def sign_file(by: Signatory, content: bytes, *, statement: bool) -> bytes:
    """The bundle for ``content``; a ``statement`` is put into a DSSE envelope, whole.

    Raises ``InvalidInput`` for a statement that is none.
    """
    if statement:
        try:
            read_statement(content)
        except Malformed as exc:
            raise InvalidInput(str(exc)) from exc
        made = sign_statement(by, content, "bundle")
        return bundle_of(
            {"dsseEnvelope": dsse_document(content, made.signature)}, by.public_key, made.material
        )
    made = sign_content(by, content, "bundle")
    digest = b64(hashlib.sha256(content).digest())
    message: Json = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
        "signature": b64(made.signature),
    }
    return bundle_of({"messageSignature": message}, by.public_key, made.material)
