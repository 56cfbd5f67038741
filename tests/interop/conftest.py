"""One server and one docker daemon for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.daemons import Containerd, DockerDaemon
from tests.interop.world import World, add_image, add_index, make_world
from trustgate.remote.layout import LayoutSource


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("world"))
    yield made
    made.server.stop()


@pytest.fixture(scope="session")
def layout(world: World) -> Path:
    """An OCI layout with ``web`` (one platform), ``bare`` (never signed) and ``multi`` (two platforms)."""
    folder = world.folder / "layout"
    source = LayoutSource(folder, create=True)
    add_image(source, "web", "web")
    add_image(source, "bare", "bare")
    add_index(source, "multi", "multi")
    return folder


@pytest.fixture(scope="session")
def images(world: World, layout: Path) -> World:
    """The world with ``shop/web:1`` and ``shop/multi:1`` signed, and ``shop/bare:1`` unsigned."""
    for name in ("web", "multi", "bare"):
        world.trustgate("ci", "push", f"oci-layout:{layout}:{name}", f"{world.host}/shop/{name}:1")
    for name in ("web", "multi"):
        world.trustgate("ci", "sign", "--key", world.key_file, f"{world.host}/shop/{name}:1")
    return world


@pytest.fixture(scope="session")
def docker(world: World) -> Iterator[DockerDaemon]:
    client, daemon = require("docker"), require("dockerd")
    with DockerDaemon(world.folder / "docker", client.path, daemon.path) as running:
        yield running


@pytest.fixture(scope="session")
def containerd(world: World) -> Iterator[Containerd]:
    client, daemon = require("ctr"), require("containerd")
    with Containerd(world.folder / "containerd", client.path, daemon.path) as running:
        yield running
