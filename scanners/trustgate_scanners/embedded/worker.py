"""The part that touches foreign layers, in a process of its own: limits of the kernel, no secrets.

Reads one JSON request from stdin, writes one JSON answer to stdout: the packages that were found. Matching
happens in the parent, where the advisories are.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from trustgate_scanners.embedded.layers import squash
from trustgate_scanners.embedded.packages import WISHES, take_inventory

MEMORY_BYTES: Final = 2 * 1024**3
OPEN_FILES: Final = 64
MAX_PROBLEMS: Final = 100
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    confine(int(request["cpu_s"]), parent=int(request["parent"]))
    try:
        document = answer(request)
    except MemoryError:
        document = {"limit": f"reading the layers needs more than {MEMORY_BYTES} bytes of memory"}
    json.dump(document, sys.stdout)


def confine(seconds: int, *, parent: int) -> None:
    """What the kernel should stop, whatever the code above forgets."""
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the scanner that asked is gone")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Packages, the release and the problems, as plain JSON."""
    layers = [(str(item["digest"]), Path(item["path"])) for item in request["layers"]]
    inventory = take_inventory(squash(layers, WISHES, deadline_s=float(request["deadline_s"])))
    return {
        "os": inventory.os.shown if inventory.os else "",
        "packages": [asdict(package) for package in inventory.packages],
        "problems": list(inventory.problems)[:MAX_PROBLEMS],
        "unread_system": inventory.unread_system,
    }


if __name__ == "__main__":
    main()
