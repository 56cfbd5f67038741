"""Ask OCSP responders and fetch CRLs; what they prove is judged in ``evidence``, here it is only brought.

OCSP first; a CRL when OCSP has no answer (trust-store-trust-policy.md, "Certificate Revocation Evaluation").
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import httpx

from trustgate.errors import UpstreamFailed
from trustgate.evidence.notation.crl import MAX_CRL_BYTES, judge_crl
from trustgate.evidence.notation.ocsp import MAX_RESPONSE_BYTES, judge_response, request_for
from trustgate.evidence.notation.revocation import (
    Answers,
    RevocationAnswer,
    RevocationQuestion,
    RevocationStatus,
    of_crls,
    unknown,
)
from trustgate.ports import Clock
from trustgate.remote.public_http import PublicHttp, Resolve, resolve

OCSP_TIMEOUT_S: Final = 4.0
CRL_TIMEOUT_S: Final = 10.0
TOTAL_TIMEOUT_S: Final = 30.0
"""For all the questions of one call; what is not answered by then is unknown."""
KEPT_S: Final = 600.0
"""How long an answer is kept; its own end (nextUpdate) counts at every look all the same."""
FAILURE_KEPT_S: Final = 60.0
ASK_AGAIN: Final = timedelta(hours=1)
"""An answer is good for no longer, whatever its authority allows: a revocation is to be noticed."""
MAX_KEPT: Final = 1024
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
_OCSP_REQUEST: Final = "application/ocsp-request"


class RevocationClient:
    """``RevocationSource`` over HTTP; ``allowed_hosts`` may be at inner addresses (an own authority)."""

    def __init__(
        self,
        clock: Clock,
        *,
        allowed_hosts: Collection[str] = (),
        transport: httpx.BaseTransport | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._clock = clock
        self._http = PublicHttp(allowed=allowed_hosts, transport=transport, resolve=resolve)
        self._kept = _Kept()

    def close(self) -> None:
        self._http.close()

    def ask(self, questions: Sequence[RevocationQuestion]) -> Answers:
        """An answer for every question; see ``RevocationSource``."""
        deadline = time.monotonic() + TOTAL_TIMEOUT_S
        return {one.thumbprint: self._answer(one, deadline) for one in questions}

    def _answer(self, question: RevocationQuestion, deadline: float) -> RevocationAnswer:
        reasons = []
        for answer in self._by_ocsp(question, deadline):
            if answer.status is not RevocationStatus.UNKNOWN:
                return answer
            reasons.append(answer.why)
        if question.crl_urls or not question.ocsp_urls:
            answer = of_crls(question, list(self._by_crl(question, deadline)))
            if answer.status is not RevocationStatus.UNKNOWN:
                return answer
            reasons.append(answer.why)
        return unknown("; ".join(dict.fromkeys(reasons)))

    def _by_ocsp(self, question: RevocationQuestion, deadline: float) -> Iterator[RevocationAnswer]:
        request = request_for(question)
        for url in question.ocsp_urls:
            yield self._judged(question, url, request, deadline)

    def _by_crl(self, question: RevocationQuestion, deadline: float) -> Iterator[RevocationAnswer]:
        for url in question.crl_urls:
            yield self._judged(question, url, None, deadline)

    def _judged(
        self, question: RevocationQuestion, url: str, request: bytes | None, deadline: float
    ) -> RevocationAnswer:
        key = hashlib.sha256(url.encode() + b"\0" + (request or b"")).hexdigest()
        found = self._kept.find(key)
        if found is None:
            found = self._fetched(url, request, deadline)
            self._kept.keep(key, found, FAILURE_KEPT_S if isinstance(found, str) else KEPT_S)
        if isinstance(found, str):
            return unknown(found)
        now = self._clock.now()
        if request is None:
            answer = judge_crl(question, found, url, now)
        else:
            answer = judge_response(question, found, now)
        if answer.status is RevocationStatus.UNKNOWN:
            self._kept.keep(key, found, FAILURE_KEPT_S)
        latest = now + ASK_AGAIN
        return replace(answer, valid_until=min(answer.valid_until or latest, latest))

    def _fetched(self, url: str, request: bytes | None, deadline: float) -> bytes | str:
        """What is at the address, or why it could not be had."""
        left = deadline - time.monotonic()
        if left <= 0:
            return f"there was no time left to ask ({TOTAL_TIMEOUT_S:.0f} s for all)"
        limit_s, max_bytes = (
            (CRL_TIMEOUT_S, MAX_CRL_BYTES) if request is None else (OCSP_TIMEOUT_S, MAX_RESPONSE_BYTES)
        )
        try:
            return self._http.fetch(
                url,
                max_bytes=max_bytes,
                timeout_s=min(left, limit_s),
                post=request,
                content_type=_OCSP_REQUEST if request is not None else "",
            )
        except UpstreamFailed as exc:
            return exc.message


class _Kept:
    """What was fetched lately, or why it could not be: bounded in number, bytes and time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[bytes | str, float]] = {}
        self._bytes = 0

    def find(self, key: str) -> bytes | str | None:
        with self._lock:
            found, until = self._entries.get(key, (None, 0.0))
            return found if until > time.monotonic() else None

    def keep(self, key: str, value: bytes | str, seconds: float) -> None:
        """Keep, or shorten what is kept already; the oldest give way."""
        with self._lock:
            _, until = self._entries.get(key, (None, float("inf")))
            if until <= time.monotonic():
                until = float("inf")
            self._forget(key)
            self._entries[key] = (value, min(until, time.monotonic() + seconds))
            self._bytes += len(value)
            while len(self._entries) > MAX_KEPT or self._bytes > MAX_KEPT_BYTES:
                self._forget(next(iter(self._entries)))

    def _forget(self, key: str) -> None:
        found = self._entries.pop(key, None)
        self._bytes -= len(found[0]) if found else 0
