"""Find the scanner adapters that are installed; load only those that the operator named."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

from trustgate.errors import ConfigInvalid
from trustgate.scanning.adapter import ScanContext, Scanner

GROUP = "trustgate.scanners"


def discover(names: Sequence[str], context: ScanContext) -> tuple[Scanner, ...]:
    """Load the adapters called ``names``, in that order. Installed is not enabled.

    Raises ``ConfigInvalid`` when one is not installed, offered twice, or does not load.
    """
    return tuple(_load(name, context) for name in names)


def _load(name: str, context: ScanContext) -> Scanner:
    found = entry_points(group=GROUP)
    offers = [point for point in found if point.name == name]
    if not offers:
        installed = ", ".join(sorted({point.name for point in found})) or "none"
        raise ConfigInvalid(
            f"scanner {name!r} is not installed; installed are: {installed}",
            hint="name one of those, or install the adapter's package beside trustgate",
        )
    if len({point.value for point in offers}) > 1:
        raise ConfigInvalid(f"scanner {name!r} is offered by two distributions; remove one of them")
    try:
        factory = offers[0].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigInvalid(f"scanner {name!r} ({offers[0].value}) does not load: {exc}") from exc
    scanner = factory(context)
    if not isinstance(scanner, Scanner):
        raise ConfigInvalid(f"scanner {name!r} ({offers[0].value}) is not a trustgate.scanning.Scanner")
    return scanner
