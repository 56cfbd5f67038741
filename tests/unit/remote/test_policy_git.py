"""Policies out of real repositories: at commits only, bounded, and whatever a URL tries, no command runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.errors import ConfigInvalid, PolicySourceUnavailable
from trustgate.policy import layout
from trustgate.policy.document import load
from trustgate.policy.starter import starter_files
from trustgate.ports import PolicyFiles, PolicySource
from trustgate.remote import git_objects, policy_git
from trustgate.remote.git_fetch import check_ref, check_url, is_git_url, without_password
from trustgate.remote.policy_git import parse_source

NOW = datetime(2027, 1, 1, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Work:
    """A work tree with git, as a user has it."""

    path: Path

    def git(self, *arguments: str) -> str:
        settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        done = subprocess.run(
            ["git", *settings, "-C", str(self.path), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> None:
        path = self.path / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    path = tmp_path / "policy"
    path.mkdir()
    made = Work(path)
    made.git("init", "-q")
    return made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def source(text: str, data_dir: Path, timeout_s: float = 20.0) -> PolicySource:
    return parse_source(text, data_dir=data_dir, clock=FixedClock(), timeout_s=timeout_s)


def fetched(text: str, data_dir: Path) -> PolicyFiles:
    files = source(text, data_dir).fetch(known="")
    assert files is not None
    return files


# --- a repository on this machine ----------------------------------------------------------------


def test_a_commit_is_read_and_not_the_work_tree(work: Work, data_dir: Path) -> None:
    commit = work.commit(trustgate_yaml="one", policies__a_yaml="two", README="three")
    work.write("trustgate_yaml", "uncommitted")
    work.write("policies__b_yaml", "uncommitted")
    work.git("add", "policies/b.yaml")
    files = fetched(str(work.path), data_dir)
    assert files.revision == commit
    assert files.files == {"trustgate.yaml": b"one", "policies/a.yaml": b"two"}
    assert files.origin == f"{work.path} (HEAD)"
    assert files.loaded_at == NOW
    assert source(str(work.path), data_dir).fetch(known=commit) is None


def test_refs(work: Work, data_dir: Path) -> None:
    first = work.commit(trustgate_yaml="one")
    work.git("tag", "-a", "v1", "-m", "annotated")
    work.git("branch", "side")
    second = work.commit(trustgate_yaml="two")
    for ref, commit in (
        ("v1", first),
        ("side", first),
        ("refs/heads/side", first),
        (first, first),
        ("refs/tags/v1", first),
    ):
        assert fetched(f"{work.path}#{ref}", data_dir).revision == commit
    assert fetched(str(work.path), data_dir).revision == second
    for ref in ("nobody", "0" * 40, "heads"):
        with pytest.raises(PolicySourceUnavailable, match="can't be resolved"):
            fetched(f"{work.path}#{ref}", data_dir)
    tree = work.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(PolicySourceUnavailable, match="is no commit"):
        fetched(f"{work.path}#{tree}", data_dir)


def test_bare_repositories_and_packs(work: Work, tmp_path: Path, data_dir: Path) -> None:
    commit = work.commit(trustgate_yaml="one", trust__keys__a="key", tests__a_yaml="no", docs__x_yaml="yes")
    subprocess.run(["git", "clone", "-q", "--bare", str(work.path), str(tmp_path / "bare.git")], check=True)
    Work(tmp_path / "bare.git").git("gc", "-q")
    files = fetched(str(tmp_path / "bare.git"), data_dir)
    assert files.revision == commit
    assert set(files.files) == {"trustgate.yaml", "trust/keys/a", "docs/x.yaml"}


def test_nothing_there(work: Work, tmp_path: Path, data_dir: Path) -> None:
    for text in (str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(PolicySourceUnavailable, match="is not a git repository"):
            fetched(text, data_dir)
    with pytest.raises(PolicySourceUnavailable, match="can't be resolved"):
        fetched(str(work.path), data_dir)


@pytest.mark.parametrize(
    "link", ["trustgate.yaml", "policies", "policies/x", "trust/keys/a.pub", "docs/a.yaml"]
)
def test_links_are_refused_where_they_would_count(work: Work, data_dir: Path, link: str) -> None:
    path = work.path / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/etc/passwd")
    work.commit()
    with pytest.raises(PolicySourceUnavailable, match="symbolic link or submodule"):
        fetched(str(work.path), data_dir)
    with pytest.raises(PolicySourceUnavailable, match="symbolic link"):
        fetched(f"dir:{work.path}", data_dir)


def test_links_elsewhere_do_not_matter(work: Work, data_dir: Path) -> None:
    (work.path / "LICENSE").symlink_to("/etc/passwd")
    (work.path / "docs").symlink_to("/etc")
    work.commit(trustgate_yaml="one")
    assert set(fetched(str(work.path), data_dir).files) == {"trustgate.yaml"}
    assert set(fetched(f"dir:{work.path}", data_dir).files) == {"trustgate.yaml"}


def test_submodules_are_refused(work: Work, data_dir: Path) -> None:
    commit = work.commit(trustgate_yaml="one")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},policies")
    work.git("commit", "-q", "-m", "submodule")
    with pytest.raises(PolicySourceUnavailable, match="submodule"):
        fetched(str(work.path), data_dir)


def test_limits(work: Work, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit(trustgate_yaml="x" * (layout.MAX_FILE_BYTES + 1))
    for text in (str(work.path), f"dir:{work.path}"):
        with pytest.raises(PolicySourceUnavailable, match=r"262145 bytes|more than 262144 bytes"):
            fetched(text, data_dir)
    work.commit(trustgate_yaml="small", policies__a_yaml="small", policies__b_yaml="small")
    for module in (git_objects, policy_git):
        monkeypatch.setattr(module, "MAX_FILES", 2)
    for text in (str(work.path), f"dir:{work.path}"):
        with pytest.raises(PolicySourceUnavailable, match="more than 2 policy files"):
            fetched(text, data_dir)
    for module in (git_objects, policy_git):
        monkeypatch.setattr(module, "MAX_FILES", 100)
        monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 12)
    for text in (str(work.path), f"dir:{work.path}"):
        with pytest.raises(PolicySourceUnavailable, match="12 bytes"):
            fetched(text, data_dir)
    monkeypatch.setattr(git_objects, "MAX_TREE_ENTRIES", 2)
    with pytest.raises(PolicySourceUnavailable, match="more than 2 files and folders"):
        fetched(str(work.path), data_dir)
    monkeypatch.setattr(git_objects, "MAX_TREE_DEPTH", 0)
    with pytest.raises(PolicySourceUnavailable, match="folders that can't be read"):
        fetched(str(work.path), data_dir)


def test_damaged_objects(work: Work, data_dir: Path) -> None:
    work.commit(trustgate_yaml="one")
    blob = work.git("rev-parse", "HEAD:trustgate.yaml")
    path = work.path / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    for damage in (b"", b"garbage", None):
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        with pytest.raises(PolicySourceUnavailable, match="can't be read"):
            fetched(str(work.path), data_dir)


# --- a repository elsewhere ----------------------------------------------------------------------


def test_fetch_from_a_url(work: Work, data_dir: Path) -> None:
    first = work.commit(trustgate_yaml="one")
    work.git("branch", "side")
    url = f"file://{work.path}"
    files = fetched(url, data_dir)
    assert (files.revision, files.files) == (first, {"trustgate.yaml": b"one"})
    second = work.commit(trustgate_yaml="two")
    again = source(url, data_dir)
    newer = again.fetch(known=first)
    assert newer is not None
    assert newer.revision == second
    assert again.fetch(known=second) is None
    assert fetched(f"{url}#side", data_dir).revision == first
    clones = list((data_dir / "policy-git").iterdir())
    assert len(clones) == 1
    assert clones[0].stat().st_mode & 0o077 == 0
    assert not (clones[0] / "hooks").exists()


def test_a_branch_that_was_rewritten_is_taken(work: Work, data_dir: Path) -> None:
    work.commit(trustgate_yaml="one")
    url = f"file://{work.path}"
    fetched(url, data_dir)
    work.git("commit", "-q", "--amend", "-m", "rewritten")
    assert fetched(url, data_dir).revision == work.git("rev-parse", "HEAD")


def test_fetch_fails_with_what_git_said(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(PolicySourceUnavailable, match="git could not fetch"):
        fetched(f"file://{tmp_path}/nothing", data_dir)


def test_fetch_needs_git(work: Work, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PolicySourceUnavailable, match="could not be started"):
        fetched(f"file://{work.path}", data_dir)


def test_a_fetch_that_hangs_is_ended(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nsleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    hanging = source(f"file://{work.path}", tmp_path / "data", timeout_s=0.3)
    with pytest.raises(PolicySourceUnavailable, match="took longer than"):
        hanging.fetch(known="")


def test_the_data_directory_can_not_be_written(work: Work, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolicySourceUnavailable, match="can't be made"):
        fetched(f"file://{work.path}", tmp_path / "file")


def test_hooks_and_configuration_of_the_environment_do_not_run(
    work: Work, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit(trustgate_yaml="one")
    marker = tmp_path / "marker"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {marker}")
    fetched(f"file://{work.path}", data_dir)
    assert not marker.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "ext::x#main",
        "http://example.com/a",
        "git://example.com/a",
        "https://",
        "ssh://-oProxyCommand=x/a",
        "file://relative",
        "fd::17",
        "-oProxyCommand=x@host:path",
        "user@-oProxyCommand:path",
        "https://example.com/a b",
        "user@host:-path",
    ],
)
def test_urls_that_are_refused(url: str, data_dir: Path) -> None:
    with pytest.raises((ConfigInvalid, PolicySourceUnavailable)):
        fetched(url, data_dir)
    assert not data_dir.exists()


@pytest.mark.parametrize(
    "ref", ["--upload-pack=x", "a..b", "a:b", "+a", "a b", "HEAD~1", "^a", "a@{1}", "a.lock", "a/"]
)
def test_refs_that_are_refused(ref: str, data_dir: Path, tmp_path: Path) -> None:
    for place in (str(tmp_path), "https://example.com/a"):
        with pytest.raises(ConfigInvalid, match="no name of a branch"):
            source(f"{place}#{ref}", data_dir)


def test_good_urls_and_passwords() -> None:
    for url in (
        "https://git.example.com/a/b.git",
        "ssh://git@h:22/a",
        "git@h.example.com:a/b.git",
        "file:///srv/p.git",
    ):
        check_url(url)
        assert is_git_url(url)
    assert not is_git_url("./policy")
    assert not is_git_url("/srv/a@b:c")
    assert without_password("https://u:secret@h/a") == "https://h/a"
    shown = source("https://u:secret@h/a#main", Path("/nowhere"))
    assert shown.describe() == "https://h/a (main)"


@given(st.text(max_size=40))
def test_a_ref_that_is_accepted_is_never_an_option(text: str) -> None:
    try:
        check_ref(text)
    except ConfigInvalid:
        return
    assert not text.startswith("-")
    assert not set(text) & set(" :^~+?*[\\\n\0")


# --- folders and the starter set -----------------------------------------------------------------


def test_a_folder_as_it_is(tmp_path: Path, data_dir: Path) -> None:
    folder = Work(tmp_path)
    folder.write("trustgate_yaml", "one")
    folder.write("policies__a__b_yaml", "two")
    folder.write("tests__x_yaml", "no")
    folder.write(".github__x_yaml", "no")
    files = fetched(f"dir:{tmp_path}", data_dir)
    assert set(files.files) == {"trustgate.yaml", "policies/a/b.yaml"}
    assert files.revision.startswith("dir:")
    assert "for development" in files.origin
    assert source(f"dir:{tmp_path}", data_dir).fetch(known=files.revision) is None
    folder.write("trustgate_yaml", "changed")
    assert fetched(f"dir:{tmp_path}", data_dir).revision != files.revision


def test_a_folder_that_is_not_there(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(PolicySourceUnavailable, match="No such file"):
        fetched(f"dir:{tmp_path}/nothing", data_dir)


def test_a_pipe_is_no_file(tmp_path: Path, data_dir: Path) -> None:
    os.mkfifo(tmp_path / "trustgate.yaml")
    with pytest.raises(PolicySourceUnavailable, match="no regular file"):
        fetched(f"dir:{tmp_path}", data_dir)


def test_starter(data_dir: Path) -> None:
    files = fetched("starter", data_dir)
    assert files.files == starter_files()
    assert files.revision.startswith("starter:")
    assert load(files.files, revision=files.revision).rules
    assert source("starter", data_dir).fetch(known=files.revision) is None


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_no_source(text: str, data_dir: Path) -> None:
    with pytest.raises(ConfigInvalid, match="empty"):
        source(text, data_dir)


def test_git_is_here() -> None:
    assert shutil.which("git"), "install git to run these tests"
