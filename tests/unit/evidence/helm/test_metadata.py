"""What helm reads out of a Chart.yaml, in one normal form, and out of nothing that has two readings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustgate.evidence.helm import yaml_text
from trustgate.evidence.helm.metadata import MAX_TEXT_CHARACTERS, ChartMetadata, is_version, read_metadata
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.helm.yaml_text import MAX_DEPTH, MAX_NODES, read_mapping

BASE = "name: web\nversion: 1.2.3\n"
few = settings(max_examples=200, deadline=None)


def read(text: str) -> ChartMetadata:
    return read_metadata(text, "Chart.yaml")


def refusal(text: str) -> str:
    with pytest.raises(HelmRefused) as caught:
        read(text)
    assert str(caught.value).startswith("Chart.yaml")
    return str(caught.value)


def test_names_of_files_and_tags() -> None:
    chart = read("name: web\nversion: 1.2.3-rc.1+build.7\n")
    assert (chart.file_name, chart.tag) == ("web-1.2.3-rc.1+build.7.tgz", "1.2.3-rc.1_build.7")
    assert chart.fields == {"apiVersion": "v1", "name": "web", "version": "1.2.3-rc.1+build.7"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("appVersion: 1.10\n", "appVersion: '1.1'\n"),
        ("appVersion: 2.0\n", "appVersion: '2'\n"),
        ("appVersion: yes\n", "appVersion: 'true'\n"),
        ("appVersion: off\n", "appVersion: 'false'\n"),
        ("description: ''\n", ""),
        ("description: ~\n", ""),
        ("deprecated: false\n", ""),
        ("deprecated:\n", ""),
        ("deprecated: yes\n", "deprecated: true\n"),
        ("keywords: []\nmaintainers: ~\nannotations: ~\n", "annotations: {}\n"),
        ("description: >-\n  folded\n  text\n", "description: folded text\n"),
        ('description: "a\\tb\\u0007"\n', "description: a b\n"),
        ('description: "\\u2003\\u00e9"\n', "description: ' é'\n"),
        ("maintainers:\n- {name: A, email: ''}\n", "maintainers:\n- name: A\n"),
        ("engine: gotpl\n", ""),
        ("apiVersion: v1\n", ""),
    ],
)
def test_what_is_the_same_to_helm_is_the_same(one: str, other: str) -> None:
    """The first is Chart.yaml as it is written, the second what helm signs of it."""
    assert read(BASE + other).difference(read(BASE + one)) == ""


DEPENDENCY = (
    "dependencies:\n- {name: d, version: 1.0.0, tags: [t], enabled: true, import-values: [{a: [b]}]}\n"
)


@pytest.mark.parametrize(
    ("chart", "signed", "field"),
    [
        ("", "description: x\n", "description"),
        ("description: x\n", "", "description"),
        ("appVersion: 1.10\n", "appVersion: '1.10'\n", "appVersion"),
        ("deprecated: false\n", "deprecated: true\n", "deprecated"),
        ("keywords: [a]\n", "keywords: [a, b]\n", "keywords"),
        ("maintainers:\n- name: A\n", "maintainers:\n- name: B\n", "maintainers"),
        ("annotations: {a: b}\n", "annotations: {a: c}\n", "annotations"),
        ("", "apiVersion: v2\n", "apiVersion"),
        (DEPENDENCY, DEPENDENCY.replace("1.0.0", "2.0.0"), "dependencies"),
        (DEPENDENCY, DEPENDENCY.replace("[t]", "[u]"), "dependencies"),
        (DEPENDENCY, DEPENDENCY.replace("true", "false"), "dependencies"),
        (DEPENDENCY, DEPENDENCY.replace("[b]", "[c]"), "dependencies"),
        ("", "extra: x\n", "extra"),
        ("extra: x\n", "extra: y\n", "extra"),
    ],
)
def test_every_field_counts(chart: str, signed: str, field: str) -> None:
    assert read(BASE + signed).difference(read(BASE + chart)) == field


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n", "not a mapping"),
        ("", "not a mapping"),
        ("a: [\n", "is not YAML"),
        ("a: \x01\n", "is not YAML"),
        (BASE + "name: other\n", "the key 'name' twice"),
        (BASE + "Name: other\n", "written 'name'"),
        (BASE + "maintainers:\n- {Name: x}\n", "written 'name'"),
        (BASE + "---\n" + BASE, "more than one document"),
        ("name: &a web\nversion: *a\n", "anchor"),
        ("name: web\nversion: *a\n", "alias"),
        (BASE + "description: !!str x\n", "tag"),
        (BASE + "<<: {name: other}\n", "merge key"),
        (BASE + "? [a]\n: b\n", "key that is not a text"),
        (BASE + "~: b\n", "key that is not a text"),
        ("version: 1.2.3\n", "the name ''"),
        ("name: ../web\nversion: 1.2.3\n", "the name '../web'"),
        ("name: .\nversion: 1.2.3\n", "the name '.'"),
        (f"name: {'a' * 251}\nversion: 1.2.3\n", "the name"),
        ("name: web\n", "the version ''"),
        ("name: web\nversion: latest\n", "the version 'latest'"),
        (BASE + "description: [a]\n", "'description' that is not a text"),
        (BASE + "keywords: a\n", "'keywords' that is not a list"),
        (BASE + "maintainers: [a]\n", "not a mapping"),
        (BASE + "annotations: [a]\n", "not a mapping"),
        (BASE + "deprecated: 'true'\n", "neither true nor false"),
        (BASE + "deprecated: maybe\n", "neither true nor false"),
        (BASE + f"description: {'a' * (MAX_TEXT_CHARACTERS + 1)}\n", "more than"),
        (BASE + "x: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "\n", "nested deeper"),
        (BASE + "x: [" + "a," * MAX_NODES + "]\n", f"more than {MAX_NODES} values"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(text: str, why: str) -> None:
    assert why in refusal(text)


@pytest.mark.parametrize("version", ["1.2.3", "v1.2.3", "1", "1.2", "1.2.3-a.1", "1.2.3+a-b", "0.0.0"])
def test_versions(version: str) -> None:
    assert is_version(version)


@pytest.mark.parametrize(
    "version", ["", "latest", "01.2.3", "1.2.3-01", "1.2.3+", "1.2.3_a", "1" * 200, None]
)
def test_no_versions(version: object) -> None:
    assert not is_version(version)


@few
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_mapping(text, "it")
    except HelmRefused:
        return


@few
@given(st.text(alphabet="abn:me -[]{}'\"\n#&*!|>%@`~?,0.1é\t", max_size=80))
def test_any_text_that_looks_like_yaml_is_read_or_refused(text: str) -> None:
    try:
        metadata = read_metadata(BASE + text, "it")
    except HelmRefused:
        return
    assert metadata.difference(metadata) == ""


def test_a_builder_without_events_holds_nothing() -> None:
    assert yaml_text._Builder().root is None
