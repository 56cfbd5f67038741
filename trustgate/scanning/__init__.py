"""The adapter's page: all that a scanner adapter may import from trustgate.

An adapter subclasses ``Scanner``, writes ``_scan`` and registers under the entry-point group
``trustgate.scanners``. It reads this page and nothing else of trustgate.
"""

from trustgate.evidence.scan_report import (
    Coverage,
    Finding,
    Package,
    ScanReport,
    ScanStatus,
    Severity,
)
from trustgate.scanning.adapter import (
    Blob,
    DatabaseStatus,
    ScanContext,
    Scanner,
    ScannerError,
    ScanRequest,
    UpdatableScanner,
)

__all__ = [
    "Blob",
    "Coverage",
    "DatabaseStatus",
    "Finding",
    "Package",
    "ScanContext",
    "ScanReport",
    "ScanRequest",
    "ScanStatus",
    "Scanner",
    "ScannerError",
    "Severity",
    "UpdatableScanner",
]
