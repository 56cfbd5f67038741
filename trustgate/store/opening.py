"""Open a data directory: one process at a time, its schema brought up to date."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustgate.errors import StorageUnavailable
from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.facts_json import (
    attestations_from_json,
    attestations_to_json,
    facts_from_json,
    facts_to_json,
)
from trustgate.evidence.model import SignatureFact
from trustgate.ports import Clock
from trustgate.store.accounts import SqlAccounts, SqlProjects, SqlSigningKeys
from trustgate.store.attached import SqlAttachedEvidence
from trustgate.store.blobs import SqlBlobs
from trustgate.store.blobs_local import LocalBlobStore
from trustgate.store.database import Database
from trustgate.store.decisions import SqlDecisions
from trustgate.store.freshness import SqlFreshness
from trustgate.store.jobs import SqlJobs
from trustgate.store.judgements import SqlJudgements
from trustgate.store.manifests import SqlManifests
from trustgate.store.migrations import migrate
from trustgate.store.notary import SqlTrustFiles, SqlTrustKeys
from trustgate.store.policy_history import SqlPolicyHistory
from trustgate.store.reports import SqlReports
from trustgate.store.sealing import Sealer
from trustgate.store.uploads import SqlUploads

DATABASE_FILE = "trustgate.sqlite"
LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class Store:
    """Every port that the store implements, on one data directory."""

    manifests: SqlManifests
    blobs: SqlBlobs
    uploads: SqlUploads
    reports: SqlReports
    attached: SqlAttachedEvidence
    judgements: SqlJudgements[SignatureFact]
    attestations: SqlJudgements[AttestationFact]
    jobs: SqlJobs
    decisions: SqlDecisions
    policy_history: SqlPolicyHistory
    accounts: SqlAccounts
    projects: SqlProjects
    signing_keys: SqlSigningKeys
    trust_files: SqlTrustFiles
    trust_keys: SqlTrustKeys
    freshness: SqlFreshness
    blob_store: LocalBlobStore
    check: Callable[[], None]
    """Prove that the database answers and that blobs can be written. Raises as the ports do."""
    close: Callable[[], None]


def open_store(directory: Path, clock: Clock) -> Store:
    """Open (or begin) the data directory.

    Raises ``StorageUnavailable`` when another process has it open, when it can't be written, or when it
    was written by a newer release.
    """
    lock = _lock(directory)
    try:
        blob_store = LocalBlobStore(directory)
        database = Database(directory / DATABASE_FILE)
        migrate(database)
        sealer = Sealer(directory)
    except BaseException:
        os.close(lock)
        raise
    freshness = SqlFreshness(database)

    locks = [lock]

    def close() -> None:
        """Once is enough, twice is harmless."""
        while locks:
            database.close()
            os.close(locks.pop())

    def check() -> None:
        database.read(lambda connection: connection.exec_driver_sql("SELECT 1").first())
        blob_store.check()

    return Store(
        manifests=SqlManifests(database, freshness),
        blobs=SqlBlobs(database, freshness, clock),
        uploads=SqlUploads(database, freshness, clock),
        reports=SqlReports(database, freshness, clock),
        attached=SqlAttachedEvidence(database),
        judgements=SqlJudgements(database, write=facts_to_json, read=facts_from_json),
        attestations=SqlJudgements(database, write=attestations_to_json, read=attestations_from_json),
        jobs=SqlJobs(database),
        decisions=SqlDecisions(database),
        policy_history=SqlPolicyHistory(database, freshness),
        accounts=SqlAccounts(database, freshness),
        projects=SqlProjects(database, freshness),
        signing_keys=SqlSigningKeys(database, freshness),
        trust_files=SqlTrustFiles(database, freshness),
        trust_keys=SqlTrustKeys(database, sealer),
        freshness=freshness,
        blob_store=blob_store,
        check=check,
        close=close,
    )


def _lock(directory: Path) -> int:
    """Hold the directory for this process. The kernel lets go of it when the process ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StorageUnavailable(
            f"the data directory {directory} can't be written: {exc.strerror}",
            hint="choose another with --data, or make it writable for this user",
        ) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageUnavailable(
            f"the data directory {directory} is in use by process {holder}",
            hint="stop that server first, or choose another directory with --data",
        ) from exc
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
