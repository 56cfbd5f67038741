"""``git fetch`` into a private bare repository: credentials and ssh are git's business, prompts nobody's."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final

from trustgate.errors import ConfigInvalid, PolicySourceUnavailable

FETCH_TIMEOUT_S: Final = 60.0
KEPT_REF: Final = "refs/trustgate/policy"
MAX_STDERR_CHARACTERS: Final = 300
_REF: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_URL: Final = re.compile(
    r"(?:https://|ssh://|file:///)[A-Za-z0-9._~%@:/\[\]+-]+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[A-Za-z0-9._~/+-]+"
)
_SETTINGS: Final = (
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.file.allow=always",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.interactive=false",
    "submodule.recurse=false",
)
_ASKING: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15",
    "LC_ALL": "C",
}
_KEPT_ENVIRONMENT: Final = (
    "HOME", "PATH", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "TMPDIR",
    "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
)  # fmt: skip


def is_git_url(text: str) -> bool:
    """Whether the text is meant as a URL (it may be a bad one)."""
    return "://" in text or "::" in text or re.match(r"[^/]+@[^/]+:", text) is not None


def check_url(url: str) -> None:
    """Raises ``ConfigInvalid`` for anything but https, ssh and file, and for what could pass as an option."""
    if not _URL.fullmatch(url) or url.startswith("-") or any(mark in url for mark in ("/-", ":-", "@-")):
        raise ConfigInvalid(
            f"{without_password(url)[:120]!r} is no URL that policies are fetched from",
            hint="https://, ssh://, file:/// and user@host:path are",
        )


def check_ref(ref: str) -> None:
    """A branch, tag or commit id; nothing that git gives another meaning. Raises ``ConfigInvalid``."""
    if not _REF.fullmatch(ref) or ".." in ref or "//" in ref or ref.endswith((".lock", "/", ".")):
        raise ConfigInvalid(
            f"{ref[:120]!r} is no name of a branch, tag or commit", hint="write it after #, as in #main"
        )


def without_password(url: str) -> str:
    """For people and logs: whatever stands before ``@`` in a URL is left out."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def fetch(url: str, ref: str, folder: Path, *, timeout_s: float = FETCH_TIMEOUT_S) -> None:
    """Bring ``ref`` (or the remote's ``HEAD``) of ``url`` into the bare ``folder`` as ``KEPT_REF``.

    Raises ``PolicySourceUnavailable``.
    """
    check_url(url)
    if ref:
        check_ref(ref)
    if not (folder / "HEAD").exists():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise PolicySourceUnavailable(f"{folder} can't be made: {exc.strerror}") from exc
        _git(["init", "--quiet", "--bare", "--template=", "--", str(folder)], url, timeout_s=timeout_s)
    arguments = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--force"]
    arguments += ["--no-write-fetch-head", "--end-of-options", url, f"+{ref or 'HEAD'}:{KEPT_REF}"]
    _git([f"--git-dir={folder}", *arguments], url, timeout_s=timeout_s)


def _git(arguments: list[str], url: str, *, timeout_s: float) -> None:
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    shown = without_password(url)
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed program, arguments are checked and never a shell's
            ["git", *settings, *arguments],  # noqa: S607 - git is found as the user finds it
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as exc:
        raise PolicySourceUnavailable(
            f"git could not be started to fetch {shown}: {exc.strerror}", hint="install git"
        ) from exc
    with process:
        try:
            _, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as exc:
            os.killpg(process.pid, signal.SIGKILL)  # ssh and the transport helpers as well
            raise PolicySourceUnavailable(f"fetching {shown} took longer than {timeout_s:.0f} s") from exc
    if process.returncode != 0:
        raise PolicySourceUnavailable(
            f"git could not fetch {shown}: {_last_words(stderr)}",
            hint="try git ls-remote with the same URL as the user that trustgate runs as",
        )


def _environment() -> dict[str, str]:
    """Nothing of ours but what git needs: no GIT_DIR, no GIT_CONFIG_*, no tokens of other services."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, **_ASKING}


def _last_words(stderr: bytes) -> str:
    text = " ".join(without_password(stderr.decode("utf-8", "replace")).split())
    return text[-MAX_STDERR_CHARACTERS:] or "it said nothing"
