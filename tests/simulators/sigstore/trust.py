"""Trusted roots and signing configurations of the private Sigstore (protobuf JSON)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.simulators.sigstore.authorities import YEAR, PrivateSigstore, authority_key, der_of, spki
from tests.simulators.sigstore.entries import b64, canonical, key_details
from tests.simulators.sigstore.logs import log_id_v1, log_id_v2

TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

Edit = Callable[[dict[str, Any]], object]


def unchanged(_document: dict[str, Any]) -> None:
    """The edit that edits nothing."""


def trusted_root(sigstore: PrivateSigstore, *, edit: Edit = unchanged) -> bytes:
    """What a verifier is given. Windows that have ended did so a day before the signature."""
    document = {
        "mediaType": TRUSTED_ROOT,
        "tlogs": [_tlog_v1(sigstore), _tlog_v2(sigstore)],
        "certificateAuthorities": [_fulcio(sigstore)],
        "ctlogs": [_ct(sigstore)],
        "timestampAuthorities": [_tsa(sigstore)],
    }
    edit(document)
    return canonical(document)


def _window(sigstore: PrivateSigstore, ended: bool) -> dict[str, str]:
    window = {"start": rfc3339(sigstore.at - YEAR)}
    return window | ({"end": rfc3339(sigstore.at - timedelta(days=1))} if ended else {})


def rfc3339(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _log(key: Any, url: str, key_id: bytes, window: dict[str, str]) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64(spki(key)),
            "keyDetails": key_details(key.public_key()),
            "validFor": window,
        },
        "logId": {"keyId": b64(key_id)},
    }


def _tlog_v1(sigstore: PrivateSigstore) -> dict[str, Any]:
    key = authority_key("rekor")
    window = _window(sigstore, sigstore.faults.log_window_ended)
    return _log(key, f"https://{sigstore.host}", log_id_v1(key), window)


def _tlog_v2(sigstore: PrivateSigstore) -> dict[str, Any]:
    key = authority_key("rekor2", "ed25519")
    window = _window(sigstore, sigstore.faults.log_window_ended)
    return _log(key, f"https://{sigstore.host_v2}", log_id_v2(key, sigstore.host_v2), window)


def _ct(sigstore: PrivateSigstore) -> dict[str, Any]:
    key = authority_key("ct")
    window = _window(sigstore, sigstore.faults.ct_window_ended)
    return _log(key, "https://ct.sigstore.test", log_id_v1(key), window)


def _fulcio(sigstore: PrivateSigstore) -> dict[str, Any]:
    chain = (sigstore.ca_intermediate, sigstore.ca_root)
    window = _window(sigstore, sigstore.faults.ca_window_ended)
    return _authority("https://fulcio.sigstore.test", chain, window)


def _tsa(sigstore: PrivateSigstore) -> dict[str, Any]:
    """With ``tsa_unknown`` the one that is known, which did not sign."""
    known = PrivateSigstore(at=sigstore.at) if sigstore.faults.tsa_unknown else sigstore
    window = _window(sigstore, sigstore.faults.tsa_window_ended)
    return _authority("https://tsa.sigstore.test", (known.tsa_leaf, known.tsa_root), window)


def _authority(uri: str, chain: tuple[Any, ...], window: dict[str, str]) -> dict[str, Any]:
    return {
        "subject": {"organization": "sigstore.test", "commonName": uri.partition("//")[2]},
        "uri": uri,
        "certChain": {"certificates": [{"rawBytes": b64(der_of(one))} for one in chain]},
        "validFor": window,
    }


def signing_config(
    sigstore: PrivateSigstore, url: str, *, rekor: int | None = 1, tsa: bool = True, edit: Edit = unchanged
) -> bytes:
    """What a signer is given: every service lives below ``url``. ``rekor`` is the API's major version."""

    def service(path: str, version: int) -> dict[str, Any]:
        return {
            "url": f"{url}{path}",
            "majorApiVersion": version,
            "validFor": {"start": rfc3339(sigstore.at - YEAR)},
            "operator": "sigstore.test",
        }

    document = {
        "mediaType": SIGNING_CONFIG,
        "caUrls": [service("", 1)],
        "oidcUrls": [service("/issuer", 1)],
        "rekorTlogUrls": [service("", rekor)] if rekor else [],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service("/api/v1/timestamp", 1)] if tsa else [],
        "tsaConfig": {"selector": "ANY"},
    }
    edit(document)
    return canonical(document)
