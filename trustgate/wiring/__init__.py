"""The only place that builds objects and knows who is who."""

from trustgate.wiring.clock import SystemClock
from trustgate.wiring.server import Server, build

__all__ = ["Server", "SystemClock", "build"]
