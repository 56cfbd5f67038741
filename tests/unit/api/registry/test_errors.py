"""Every error of the house has its place in the one table."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.registry.rig import Wire
from trustgate import errors
from trustgate.api.errors import MAX_MESSAGE_CHARACTERS, TABLE, document, error_body, row_of
from trustgate.errors import StorageFull, StorageUnavailable, TrustgateError

CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN",
    "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
}  # fmt: skip
OURS = [
    found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, TrustgateError)
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_row(kind: type[TrustgateError]) -> None:
    status, code = TABLE[kind]
    assert code in CODES or status >= 500


def test_a_class_without_a_row_has_its_ancestors() -> None:
    class Special(errors.BlobUnknown):
        """For this test."""

    assert row_of(Special("x")) == (404, "BLOB_UNKNOWN")


def test_what_is_the_machines_fault_shows_nothing_of_the_machine(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, status in ((StorageFull, 507), (StorageUnavailable, 503)):

        def fail(*_: object, failure: type[TrustgateError] = kind, **__: object) -> None:
            raise failure("could not write /var/lib/secret-place")

        monkeypatch.setattr(wire.inside.push, "begin", fail)
        answer = wire.ask("POST", "/v2/shop/web/blobs/uploads/")
        assert (answer.status, answer.error["code"]) == (status, "UNAVAILABLE")
        assert "secret-place" not in answer.error["message"]


def test_the_hint_is_part_of_the_message() -> None:
    body = json.loads(error_body(errors.NameUnknown("no such thing", hint="look there")))
    assert body == {"errors": [{"code": "NAME_UNKNOWN", "message": "no such thing (look there)"}]}


@given(st.text(max_size=2000))
def test_messages_are_one_printable_line(text: str) -> None:
    (error,) = json.loads(document("DENIED", text))["errors"]
    assert error["message"].isascii()
    assert all(" " <= character <= "~" for character in error["message"])
    assert len(error["message"]) <= MAX_MESSAGE_CHARACTERS
