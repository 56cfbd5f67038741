"""The part that touches foreign layers, in a process of its own: limits, no network to speak of, no secrets.

Reads one JSON request from stdin, writes one JSON answer to stdout: the packages that were found. Matching
happens in the parent, where the advisories are.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from trustgate_scanners.embedded.layers import squash
from trustgate_scanners.embedded.packages import take_inventory, wanted

MEMORY_BYTES: Final = 2 * 1024**3
OPEN_FILES: Final = 64


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    confine(int(request["deadline_s"]))
    json.dump(answer(request), sys.stdout)


def confine(seconds: int) -> None:
    """What the kernel should stop, whatever the code above forgets."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Packages, the release and the problems, as plain JSON."""
    layers = [(str(item["digest"]), Path(item["path"])) for item in request["layers"]]
    inventory = take_inventory(squash(layers, wanted, deadline_s=float(request["deadline_s"])))
    return {
        "os": inventory.os.shown if inventory.os else "",
        "packages": [asdict(package) for package in inventory.packages],
        "problems": list(inventory.problems)[:100],
    }


if __name__ == "__main__":
    main()
