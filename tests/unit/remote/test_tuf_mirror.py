"""Trusted roots out of a TUF repository: from the pinned root on, in time, never back, and within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import sigstore_world
from tests.simulators.authority import SimulatedAuthority, drip, slow_head
from tests.simulators.tuf import TufRepository, signer
from trustgate.errors import ConfigInvalid, UpstreamFailed
from trustgate.remote import tuf_mirror as room
from trustgate.remote.tuf_mirror import fetch_trusted_root, public_good_root

ROOT = sigstore_world.instance().trusted_root()
OTHER = sigstore_world.instance("two").trusted_root()
PAST = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)


@pytest.fixture
def server() -> Iterator[SimulatedAuthority]:
    with SimulatedAuthority() as running:
        yield running


@pytest.fixture
def repository() -> TufRepository:
    return TufRepository(ROOT)


def fetched(server: SimulatedAuthority, repository: TufRepository, state: Path | None = None) -> bytes:
    server.pages.clear()
    for path, content in repository.pages.items():
        server.put(path, content)
    return fetch_trusted_root(server.url("/").rstrip("/"), pinned=repository.pinned, state=state)


def test_what_the_repository_signs(server: SimulatedAuthority, repository: TufRepository) -> None:
    assert fetched(server, repository) == ROOT
    repository.next(OTHER)
    assert fetched(server, repository) == OTHER


def test_roots_follow_one_another(
    server: SimulatedAuthority, repository: TufRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        old = repository.signers["root"]
        repository.signers |= {"root": signer(), "timestamp": signer()}
        repository.add_root(old)
    repository.publish()
    assert fetched(server, repository) == ROOT
    monkeypatch.setattr(room._CONFIG, "max_root_rotations", 2)
    with pytest.raises(UpstreamFailed):  # the third rotation brought the timestamp's key
        fetched(server, repository)


def expired(role: str) -> Callable[[TufRepository], None]:
    def change(repository: TufRepository) -> None:
        repository.expires[role] = PAST
        if role == "root":
            repository.add_root()
        repository.publish()

    return change


def foreign(role: str) -> Callable[[TufRepository], None]:
    def change(repository: TufRepository) -> None:
        repository.signers[role] = signer()
        if role == "root":
            repository.add_root()
        repository.publish()

    return change


def another_target(repository: TufRepository) -> None:
    path = next(path for path in repository.pages if path.startswith("/targets/"))
    repository.pages[path] = OTHER


def longer_target(repository: TufRepository) -> None:
    path = next(path for path in repository.pages if path.startswith("/targets/"))
    repository.pages[path] += b" "


def huge_target(repository: TufRepository) -> None:
    repository.next(b" " * (room.MAX_TARGET_BYTES + 1))


def without(path: str) -> Callable[[TufRepository], None]:
    def change(repository: TufRepository) -> None:
        del repository.pages[path]

    return change


def junk(path: str, content: bytes) -> Callable[[TufRepository], None]:
    def change(repository: TufRepository) -> None:
        repository.pages[path] = content

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(expired(role) for role in ("root", "targets", "snapshot", "timestamp")),
        *(foreign(role) for role in ("root", "targets", "snapshot", "timestamp")),
        another_target,
        longer_target,
        huge_target,
        without("/timestamp.json"),
        without("/1.snapshot.json"),
        junk("/timestamp.json", b"{"),
        junk("/timestamp.json", b"[" * 100_000),
        junk("/timestamp.json", b"{}" + b" " * 20_000),
        junk("/2.root.json", b"{}"),
    ],
)
def test_what_does_not_verify_is_refused(
    server: SimulatedAuthority, repository: TufRepository, change: Callable[[TufRepository], None]
) -> None:
    change(repository)
    with pytest.raises(UpstreamFailed):
        fetched(server, repository)


def test_a_mirror_does_not_go_back(
    server: SimulatedAuthority, repository: TufRepository, tmp_path: Path
) -> None:
    """Only who remembers can tell: without a state what is in time is believed."""
    before = dict(repository.pages)
    repository.next(OTHER)
    state = tmp_path / "state"
    assert fetched(server, repository, state) == OTHER
    repository.pages = before
    with pytest.raises(UpstreamFailed):
        fetched(server, repository, state)
    assert fetched(server, repository) == ROOT


def test_another_repository_is_not_believed(server: SimulatedAuthority, repository: TufRepository) -> None:
    theirs = TufRepository(OTHER)
    repository.pages = theirs.pages
    with pytest.raises(UpstreamFailed):
        fetched(server, repository)


def test_no_redirect_is_followed(server: SimulatedAuthority, repository: TufRepository) -> None:
    assert fetched(server, repository) == ROOT
    server.headers["Location"] = server.url("/timestamp.json")
    server.put("/timestamp.json", b"", 302)
    with pytest.raises(UpstreamFailed, match="answered 302"):
        fetch_trusted_root(server.url("/").rstrip("/"), pinned=repository.pinned)


def test_a_mirror_that_is_away() -> None:
    with pytest.raises(UpstreamFailed):
        fetch_trusted_root("http://localhost:9", pinned=public_good_root())


@pytest.mark.parametrize(
    "url",
    [
        "http://tuf.example.com",
        "ftp://localhost",
        "https://",
        "https://a@b.test",
        "https://b.test/?x=1",
        "x",
        "https://[",
    ],
)
def test_what_is_no_mirror(url: str) -> None:
    with pytest.raises(ConfigInvalid):
        fetch_trusted_root(url, pinned=public_good_root())


def test_a_mirror_that_drips(
    server: SimulatedAuthority, repository: TufRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte is in time, and the whole never comes: neither the body nor the head."""
    monkeypatch.setattr(room, "TOTAL_TIMEOUT_S", 0.5)
    server.put("/2.root.json", drip(b" ", 0.05))
    with slow_head(0.05) as port:
        for url in (server.url("").rstrip("/"), f"http://localhost:{port}"):
            with pytest.raises(UpstreamFailed, match="took more than"):
                fetch_trusted_root(url, pinned=repository.pinned)


def test_behind_its_time_no_further_file_is_asked_for(
    server: SimulatedAuthority, repository: TufRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TOTAL_TIMEOUT_S", -1.0)
    with pytest.raises(UpstreamFailed, match="took more than"):
        fetched(server, repository)
    assert not server.seen
