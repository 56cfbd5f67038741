"""Where an identity token is looked for, in which order, and what is said when there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.registry import Answer, Loopback, Seen, as_json
from tests.simulators.sigstore.server import SigstoreServer
from trustgate.errors import ConfigInvalid, UpstreamFailed
from trustgate.evidence.sigstore_signing.identity_token import MAX_TOKEN_CHARACTERS
from trustgate.remote.identity_tokens import find_identity_token

CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*CI_VARIABLES, *(one for one in os.environ if one.endswith("ID_TOKEN"))]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def jwt() -> Iterator[str]:
    with SigstoreServer() as server:
        yield server.token()


def test_the_value_itself_or_a_file(jwt: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{jwt}\n")
    assert find_identity_token(jwt, {}) == find_identity_token(str(file), {}) == jwt


def test_what_is_given_counts_before_the_environment(jwt: str) -> None:
    assert find_identity_token(jwt, {"SIGSTORE_ID_TOKEN": "other"}) == jwt
    assert find_identity_token("", {"SIGSTORE_ID_TOKEN": f" {jwt}\n"}) == jwt


@pytest.mark.parametrize("name", ["missing", ".", "binary"])
def test_a_file_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="neither a token nor a file") as caught:
        find_identity_token(str(tmp_path / name), {})
    assert "SIGSTORE_ID_TOKEN" in caught.value.hint


def test_a_file_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_text("x" * 10 * MAX_TOKEN_CHARACTERS)
    assert len(find_identity_token(str(file), {})) == MAX_TOKEN_CHARACTERS + 1


def test_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigInvalid, match="neither a key nor an identity token"):
        find_identity_token("", {})


class _Actions(Loopback):
    """The endpoint that GitHub Actions gives its jobs."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def respond(self, seen: Seen) -> Answer:
        if "audience=sigstore" in seen.path and seen.authorization == "bearer secret":
            return as_json({"value": self.token})
        return Answer(403)


def _in_actions(monkeypatch: pytest.MonkeyPatch, actions: _Actions) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"http://{actions.host}/token?api-version=2")


def test_the_ci_is_asked_for_the_right_audience(monkeypatch: pytest.MonkeyPatch, jwt: str) -> None:
    with _Actions(jwt) as actions:
        _in_actions(monkeypatch, actions)
        assert find_identity_token("", {}) == jwt


def test_a_ci_that_gives_none(monkeypatch: pytest.MonkeyPatch, jwt: str) -> None:
    with _Actions(jwt) as actions:
        _in_actions(monkeypatch, actions)
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
        with pytest.raises(UpstreamFailed, match="the CI gives no identity token"):
            find_identity_token("", {})
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    with pytest.raises(UpstreamFailed, match="permissions") as caught:
        find_identity_token("", {})
    assert "id-token: write" in caught.value.hint
