"""Which files of a repository make up a policy set, and how large they may be."""

from __future__ import annotations

from typing import Final

ROOT_FILE: Final = "trustgate.yaml"
TRUST_FOLDER: Final = "trust/"
POLICY_FOLDER: Final = "policies/"
TEST_FOLDER: Final = "tests/"
LATER_FOLDERS: Final = ("exceptions/", "projects/")

MAX_FILE_BYTES: Final = 256 * 1024
MAX_FILES: Final = 5000
MAX_TOTAL_BYTES: Final = 32 * 1024 * 1024

_YAML: Final = (".yaml", ".yml")
OUR_MARK: Final = b"trustgate.dev/"
"""Stands in the ``apiVersion`` of every document: how a misplaced one is noticed."""


def is_yaml(path: str) -> bool:
    return path.endswith(_YAML)


def belongs(path: str) -> bool:
    """Whether a source has to deliver this file: all of ``trust/``, and every YAML file outside ``tests/``.

    YAML elsewhere is delivered so that a policy in the wrong place is a problem, and not silently unused;
    hidden folders (``.github/``) are left out.
    """
    if path.startswith(TRUST_FOLDER):
        return True
    if path.startswith(TEST_FOLDER) or not is_yaml(path):
        return False
    return path.startswith(POLICY_FOLDER) or not any(part.startswith(".") for part in path.split("/"))


def in_our_folders(path: str) -> bool:
    """``trust``, ``policies``, and everything below: whatever stands there is meant to count."""
    return f"{path}/".startswith((TRUST_FOLDER, POLICY_FOLDER))


def is_document(path: str) -> bool:
    """Whether the file is read as policy documents."""
    if path == ROOT_FILE:
        return True
    return path.endswith(".yaml") and path.startswith((TRUST_FOLDER, POLICY_FOLDER))
