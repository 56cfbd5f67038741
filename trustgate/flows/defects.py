"""A judge that fails on one piece of evidence: a defect of ours, which must not take other evidence along.

Whoever may push brings evidence. If what it makes a judge raise left the request, one hostile signature would
end every pull of a rightly signed image. So here, beside the top of a request or a job, everything is caught:
the piece counts as broken, which is never a yes, and nothing of it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from trustgate.errors import TrustgateError

DEFECT: Final = "its judge failed on it, which is a defect of trustgate: see the registry's log"
T = TypeVar("T")
log = logging.getLogger("trustgate.evidence")


def or_broken(judge: Callable[[], T], broken: Callable[[str], T]) -> T:
    """What ``judge`` says, or ``broken`` when it fails. Raises what is no defect: ``TrustgateError``."""
    try:
        return judge()
    except TrustgateError:
        raise
    except Exception:  # see above
        log.exception("a judge of evidence failed; the evidence counts as broken")
        return broken(DEFECT)
