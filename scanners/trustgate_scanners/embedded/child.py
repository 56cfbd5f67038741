"""Start the confined process that reads layers, and hold it to its deadline and to the size of its answer."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from threading import Timer
from typing import Any, Final

from trustgate.scanning import Package, ScannerError, ScanRequest

SHARE_OF_DEADLINE: Final = 0.9
"""The child stops reading by itself at this share of the time, so that what it found is not lost."""
_COMMAND: Final = (sys.executable, "-I", "-B", "-m", "trustgate_scanners.embedded.worker")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child found."""

    os: str
    packages: tuple[Package, ...]
    problems: tuple[str, ...]
    unread_system: str


def read_layers(request: ScanRequest) -> Answer:
    """Raises ``ScannerError`` when the child dies, takes too long, says too much or talks nonsense."""
    question = {
        "layers": [{"digest": str(layer.digest), "path": str(layer.path)} for layer in request.layers],
        "deadline_s": request.deadline_s * SHARE_OF_DEADLINE,
        "cpu_s": max(1, math.ceil(request.deadline_s)),
        "parent": os.getpid(),
    }
    output = _run(json.dumps(question).encode(), request)
    if len(output) > request.max_report_bytes:
        raise ScannerError("limit", f"the report would have more than {request.max_report_bytes} bytes")
    return _parsed(output)


def _run(question: bytes, request: ScanRequest) -> bytes:
    try:
        child = subprocess.Popen(  # noqa: S603 - a fixed command, foreign paths only in its input
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
    except OSError as exc:
        raise ScannerError("crash", f"the layer reader can't be started: {exc.strerror}") from exc
    with contextlib.suppress(BrokenPipeError), child:  # closing a dead child's pipe may say so again
        timer = Timer(request.deadline_s, _kill, [child])
        timer.start()
        try:
            output = _talk(child, question, request.max_report_bytes + 1)
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            _kill(child)
    if timed_out:
        raise ScannerError("timeout", f"reading the layers took more than {request.deadline_s:.0f} s")
    if child.returncode != 0 and len(output) <= request.max_report_bytes:
        raise ScannerError("crash", f"the layer reader ended with {child.returncode}")
    return output


def _talk(child: subprocess.Popen[bytes], question: bytes, max_bytes: int) -> bytes:
    """The child reads the whole question before it writes a byte."""
    if child.stdin is None or child.stdout is None:
        raise ScannerError("crash", "the layer reader has no pipes")
    with contextlib.suppress(BrokenPipeError):  # it died: its exit status says so
        child.stdin.write(question)
        child.stdin.close()
    output = child.stdout.read(max_bytes)
    if len(output) < max_bytes:
        child.wait()
    return output


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _parsed(output: bytes) -> Answer:
    try:
        document: dict[str, Any] = json.loads(output)
        if "limit" in document:
            raise ScannerError("limit", str(document["limit"]))
        return Answer(
            os=_text(document["os"]),
            packages=tuple(_package(item) for item in document["packages"]),
            problems=tuple(_text(problem) for problem in document["problems"]),
            unread_system=_text(document["unread_system"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ScannerError("crash", "the layer reader's answer makes no sense") from exc


def _package(item: dict[str, Any]) -> Package:
    return Package(**{name: _text(value) for name, value in item.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value
