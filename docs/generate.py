"""Write the pages that are generated from code: ``python docs/generate.py`` (``--check`` only compares)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import trustgate
from trustgate.api.errors import row_of
from trustgate.errors import TrustgateError

HERE = Path(__file__).parent


def errors_page() -> str:
    """Every error class: code, what it means, what the wire shows."""
    lines = ["# Errors", "", "Generated from the code by `docs/generate.py`.", ""]
    for error in sorted(_classes(), key=lambda item: item.code):
        status, code = row_of(error.__new__(error))
        lines += [f"## {error.code}", "", " ".join((error.__doc__ or "").split()).replace("``", "`"), ""]
        lines += [f"On `/v2/`: {status}, `{code}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _classes() -> Iterator[type[TrustgateError]]:
    for module in walk_packages(trustgate.__path__, "trustgate."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    seen: set[str] = set()
    waiting = [TrustgateError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.code not in seen:
            seen.add(error.code)
            yield error


PAGES = {"errors.md": errors_page}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path = HERE / name
        text = page()
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
