"""Version order: vectors of osv-scalibr, and properties."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trustgate_scanners.embedded import versions

from tests.shared_files import shared

VECTORS = {
    # ecosystem: (files, comparisons that hold, comparisons with a version outside the order)
    "Debian:12": (("debian-versions.txt", "debian-versions-generated.txt"), 14_472, 0),
    "Alpine:v3.19": (("alpine-versions.txt", "alpine-versions-generated.txt"), 14_662, 95),
    "PyPI": (("pypi-versions.txt", "pypi-versions-generated.txt"), 12_332, 80),
    "npm": (("semver-versions.txt",), 85, 1),
}


@pytest.mark.parametrize("ecosystem", VECTORS)
def test_vectors(ecosystem: str) -> None:
    names, expected, outside = VECTORS[ecosystem]
    right, wrong, unknown = 0, [], 0
    for name in names:
        for line in shared("public", "osv-scalibr", "semantic", "testdata", name).read_text().splitlines():
            words = line.split()
            if len(words) != 3 or words[0] in {"#", "//"}:
                continue
            left, right_key = versions.key(ecosystem, words[0]), versions.key(ecosystem, words[2])
            if left is None or right_key is None:
                unknown += 1
            elif {"<": left < right_key, ">": left > right_key, "=": left == right_key}[words[1]]:
                right += 1
            else:
                wrong.append(line)
    assert (right, unknown, wrong) == (expected, outside, [])


@pytest.mark.parametrize("ecosystem", ["Debian:12", "Alpine:v3.19", "PyPI", "npm", "Go"])
@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.text(max_size=30) | st.from_regex(r"[0-9.:~+\-a-z_²٣]{1,20}"), min_size=3, max_size=3)
)
def test_any_text_has_a_place_or_none(ecosystem: str, texts: list[str]) -> None:
    keys = [key for text in texts if (key := versions.key(ecosystem, text)) is not None]
    ordered = sorted(keys)
    assert all(first <= second for first, second in itertools.pairwise(ordered))
    assert all(key > versions.LOWEST for key in keys)


@pytest.mark.parametrize(
    ("ecosystem", "lower", "higher"),
    [
        ("Go", "v0.0.0-20220101000000-abcdef012345", "0.0.0"),
        ("Go", "1.2.3", "v1.2.4+incompatible"),
        ("npm", "1.0.0-rc.2", "1.0.0-rc.11"),
        ("PyPI", "1.0rc1", "1.0"),
        ("Debian:12", "1.0~rc1-1", "1.0-1"),
        ("Debian:12", "9.9-1", "1:0.1-1"),
        ("Alpine:v3.19", "1.2_rc1-r9", "1.2-r0"),
        ("Alpine:v3.19", "9.3p2-r1" if versions.key("Alpine", "9.3p2-r1") else "9.3_p2-r1", "9.4-r0"),
    ],
)
def test_order(ecosystem: str, lower: str, higher: str) -> None:
    low, high = versions.key(ecosystem, lower), versions.key(ecosystem, higher)
    assert low is not None
    assert high is not None
    assert low < high


@pytest.mark.parametrize("text", ["", "(devel)", "latest", "1 2", "x" * 600, "²", "²:1"])
def test_no_place_in_the_order(text: str) -> None:
    assert versions.key("Go", text) is None
    assert versions.key("PyPI", text) is None
    assert versions.key("Debian:12", text) is None or text in {"(devel)", "latest", "²"}
