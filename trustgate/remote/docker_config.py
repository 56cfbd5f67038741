"""Credentials as docker, podman and helm keep them: read in crane's order, written where docker writes.

Files: ``$DOCKER_CONFIG/config.json`` (default ``~/.docker``), ``$REGISTRY_AUTH_FILE``,
``$XDG_RUNTIME_DIR/containers/auth.json``. Helpers: ``docker-credential-NAME`` (get, store, erase).
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trustgate.errors import ConfigInvalid

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
HELPER_TIMEOUT_S: Final = 30.0
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = b"credentials not found"
"""How every helper says that it has nothing; any other failure is one."""
_REPAIR = "repair it, or move it away and log in again"
_MEND_HELPER = "mend the helper, or remove it from config.json"
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - Docker's word for "the secret is an identity token"


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a secret for one registry, and the file or helper that they came from."""

    username: str
    secret: str = field(repr=False)
    origin: str

    @property
    def is_identity_token(self) -> bool:
        return self.username == _IDENTITY_TOKEN_USER


class DockerConfig:
    """The credential files of one user."""

    def __init__(self, environment: Mapping[str, str], home: Path) -> None:
        self._environment = environment
        self._home = home

    @property
    def path(self) -> Path:
        """The file that ``login`` writes."""
        return Path(self._environment.get("DOCKER_CONFIG") or self._home / ".docker") / "config.json"

    def find(self, host: str) -> Credential | None:
        """The credential for a registry. Raises ``ConfigInvalid`` for a file that can't be read."""
        for path in self._candidates():
            document = _read(path)
            if document is not None:
                found = self._in_file(document, host, path)
                if found is not None:
                    return found
        return None

    def login(self, host: str, username: str, secret: str) -> str:
        """Keep a credential; returns where. Raises ``ConfigInvalid``."""
        document = _read(self.path) or {}
        helper = _helper_for(document, host)
        if helper:
            _run_helper(helper, "store", {"ServerURL": host, "Username": username, "Secret": secret})
            return f"docker-credential-{helper}"
        encoded = base64.b64encode(f"{username}:{secret}".encode()).decode()
        document["auths"] = {**_auths(document, self.path), host: {"auth": encoded}}
        _write(self.path, document)
        return str(self.path)

    def logout(self, host: str) -> bool:
        """Forget a credential; false when there was none."""
        document = _read(self.path) or {}
        helper = _helper_for(document, host)
        if helper:
            _run_helper(helper, "erase", host)
            return True
        auths = _auths(document, self.path)
        if host not in auths:
            return False
        document["auths"] = {name: entry for name, entry in auths.items() if name != host}
        _write(self.path, document)
        return True

    def _candidates(self) -> list[Path]:
        runtime = self._environment.get("XDG_RUNTIME_DIR")
        places = [self.path]
        if self._environment.get("REGISTRY_AUTH_FILE"):
            places.append(Path(self._environment["REGISTRY_AUTH_FILE"]))
        if runtime:
            places.append(Path(runtime) / "containers" / "auth.json")
        return places

    def _in_file(self, document: dict[str, Any], host: str, path: Path) -> Credential | None:
        helper = _helper_for(document, host)
        if helper:
            answer = _run_helper(helper, "get", host)
            if answer:
                return _from_helper(answer, helper)
        auths = _auths(document, path)
        for name in (host, f"https://{host}", f"http://{host}", f"https://{host}/v2/", f"https://{host}/v1/"):
            entry = auths.get(name)
            if isinstance(entry, dict):
                return _from_entry(entry, path)
        return None


def _auths(document: dict[str, Any], path: Path) -> dict[str, Any]:
    auths = document.get("auths") or {}
    if not isinstance(auths, dict):
        raise ConfigInvalid(f"{path}: auths is not a JSON object", hint=_REPAIR)
    return auths


def _from_helper(answer: dict[str, Any], helper: str) -> Credential:
    name, secret = answer.get("Username"), answer.get("Secret")
    if not isinstance(name, str) or not isinstance(secret, str):
        raise ConfigInvalid(
            f"docker-credential-{helper} answered without a Username and a Secret", hint=_MEND_HELPER
        )
    return Credential(name, secret, f"helper {helper}")


def _from_entry(entry: dict[str, Any], path: Path) -> Credential | None:
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Credential(_IDENTITY_TOKEN_USER, entry["identitytoken"], str(path))
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            name, colon, secret = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except ValueError as exc:
            raise ConfigInvalid(f"{path}: an entry's auth is not base64", hint="log in again") from exc
        if not colon:
            raise ConfigInvalid(f"{path}: an entry's auth is not NAME:SECRET", hint="log in again")
        return Credential(name, secret.rstrip("\0"), str(path))
    if entry.get("username") and entry.get("password"):
        return Credential(str(entry["username"]), str(entry["password"]), str(path))
    return None


def _helper_for(document: dict[str, Any], host: str) -> str:
    helpers = document.get("credHelpers") or {}
    name = helpers.get(host) if isinstance(helpers, dict) else None
    return str(name or document.get("credsStore") or "")


def _run_helper(name: str, verb: str, question: Any) -> dict[str, Any]:
    if not _HELPER_NAME.fullmatch(name):
        raise ConfigInvalid(f"{name[:80]!a} is not a credential helper's name", hint=_MEND_HELPER)
    text = question if isinstance(question, str) else json.dumps(question)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own helper, by name, no shell
            [f"docker-credential-{name}", verb],
            input=text.encode(),
            capture_output=True,
            timeout=HELPER_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as exc:
        raise ConfigInvalid(
            f"docker-credential-{name} is not installed", hint="install it, or remove it from config.json"
        ) from exc
    except OSError as exc:
        raise ConfigInvalid(
            f"docker-credential-{name} can't be run: {exc.strerror}", hint=_MEND_HELPER
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise ConfigInvalid(
            f"docker-credential-{name} did not answer in {HELPER_TIMEOUT_S:.0f} s", hint=_MEND_HELPER
        ) from exc
    if done.returncode != 0:
        if verb in {"get", "erase"} and _NOT_FOUND in done.stdout + done.stderr:
            return {}
        raise ConfigInvalid(
            f"docker-credential-{name} {verb} failed with {done.returncode}", hint=_MEND_HELPER
        )
    return _helpers_answer(name, done.stdout) if verb == "get" else {}


def _helpers_answer(name: str, raw: bytes) -> dict[str, Any]:
    """Never shown: it holds the secret."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        message = f"docker-credential-{name} answered something that is not a JSON object"
        raise ConfigInvalid(message, hint=_MEND_HELPER)
    return answer


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be read: {exc.strerror}", hint=_REPAIR) from exc
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigInvalid(f"{path} has more than {MAX_CONFIG_BYTES} bytes", hint=_REPAIR)
    try:
        document = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise ConfigInvalid(f"{path} is not JSON", hint=_REPAIR) from exc
    if not isinstance(document, dict):
        raise ConfigInvalid(f"{path} is not a JSON object", hint=_REPAIR)
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all, for the owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent="\t")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as exc:
        raise ConfigInvalid(
            f"{path} can't be written: {exc.strerror}",
            hint="make it writable for this user, or set DOCKER_CONFIG to another folder",
        ) from exc
