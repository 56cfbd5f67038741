"""The doors of the house: what a flow may ask of the machines, and what they promise.

All methods are synchronous and may block; the face calls them from its thread pool. Unless a method
says otherwise it raises ``StorageUnavailable`` when the machine behind it fails, and nothing else.
A method that changes something has changed all of it durably when it returns, or nothing.
"""

from trustgate.ports.doors import (
    Accounts,
    Blobs,
    BlobStore,
    BlobWriter,
    Clock,
    Decisions,
    Freshness,
    Jobs,
    Judgements,
    Manifests,
    PolicyHistory,
    PolicySource,
    Projects,
    Reports,
    SigningKeys,
    Uploads,
)
from trustgate.ports.images import FoundManifest, ImageSource
from trustgate.ports.openpgp import OpenPgp, OpenPgpSigner
from trustgate.ports.revocation import RevocationSource
from trustgate.ports.values import (
    Account,
    DecisionId,
    DecisionRecord,
    Grant,
    Job,
    NewJob,
    Permission,
    PolicyFiles,
    Project,
    Push,
    Revisions,
    SigningKey,
    StorageKey,
    StoredBlob,
    StoredManifest,
    Upload,
    UploadId,
)

__all__ = [
    "Account",
    "Accounts",
    "BlobStore",
    "BlobWriter",
    "Blobs",
    "Clock",
    "DecisionId",
    "DecisionRecord",
    "Decisions",
    "FoundManifest",
    "Freshness",
    "Grant",
    "ImageSource",
    "Job",
    "Jobs",
    "Judgements",
    "Manifests",
    "NewJob",
    "OpenPgp",
    "OpenPgpSigner",
    "Permission",
    "PolicyFiles",
    "PolicyHistory",
    "PolicySource",
    "Project",
    "Projects",
    "Push",
    "Reports",
    "Revisions",
    "RevocationSource",
    "SigningKey",
    "SigningKeys",
    "StorageKey",
    "StoredBlob",
    "StoredManifest",
    "Upload",
    "UploadId",
    "Uploads",
]
