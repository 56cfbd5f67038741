"""Every client pushes, pulls by tag and digest, is refused what is unsigned, and gets what is signed.

What each prints for a refusal is a golden file: it is the most-read sentence of the product.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.daemons import Containerd, DockerDaemon
from tests.interop.world import World, check_golden

pytestmark = pytest.mark.interop


def digest_of(world: World, reference: str) -> str:
    """The digest behind a tag, asked as the signer."""
    client = require("crane")
    return world.run("ci", client.path, "digest", "--insecure", reference).stdout.strip()


# --- docker --------------------------------------------------------------------------------------


def _docker(world: World, docker: DockerDaemon, who: str, *arguments: object, check: bool = True):
    return world.run(who, docker.client, *arguments, check=check, DOCKER_HOST=docker.host)


def test_docker_push_and_pull(world: World, docker: DockerDaemon, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "hello").write_text("docker")
    world.run("ci", "tar", "-C", tmp_path / "root", "-cf", tmp_path / "root.tar", ".")
    name = f"{world.host}/open/docker:1"
    _docker(world, docker, "ci", "import", tmp_path / "root.tar", name)
    pushed = _docker(world, docker, "ci", "push", name).stdout
    digest = next(word for word in pushed.split() if word.startswith("sha256:"))
    _docker(world, docker, "ci", "rmi", name)
    _docker(world, docker, "prod", "pull", name)
    by_digest = _docker(world, docker, "prod", "pull", f"{world.host}/open/docker@{digest}").stdout
    assert digest in by_digest


def test_docker_login_and_logout(world: World, docker: DockerDaemon) -> None:
    secret = (world.configs["prod"] / "config.json").read_text()
    done = _docker(world, docker, "prod", "login", world.host)
    assert "Login Succeeded" in done.stdout
    wrong = _docker(world, docker, "prod", "login", world.host, "-u", "robot$prod", "-p", "no", check=False)
    assert wrong.returncode == 1
    assert "wrong user name or password" in wrong.stderr
    (world.configs["prod"] / "config.json").write_text(secret)


def test_docker_is_refused(images: World, docker: DockerDaemon) -> None:
    refused = _docker(images, docker, "prod", "pull", f"{images.host}/shop/bare:1", check=False)
    assert refused.returncode == 1
    check_golden("docker-pull-refused", refused.stderr, images.host)


def test_docker_pulls_what_is_signed(images: World, docker: DockerDaemon) -> None:
    done = _docker(images, docker, "prod", "pull", f"{images.host}/shop/web:1")
    assert "Downloaded newer image" in done.stdout
    multi = _docker(images, docker, "prod", "pull", f"{images.host}/shop/multi:1")
    assert "Downloaded newer image" in multi.stdout


def test_docker_pushes_a_fixed_image_over_a_blocked_tag(
    images: World, docker: DockerDaemon, tmp_path: Path
) -> None:
    for text in ("broken", "fixed"):
        (tmp_path / "hello").write_text(text)
        world_tar = tmp_path / f"{text}.tar"
        images.run("ci", "tar", "-C", tmp_path, "-cf", world_tar, "hello")
        name = f"{images.host}/shop/again:1"
        _docker(images, docker, "ci", "import", world_tar, name)
        pushed = _docker(images, docker, "ci", "push", name)
        assert "digest: sha256:" in pushed.stdout
        refused = _docker(images, docker, "prod", "pull", name, check=False)
        assert refused.returncode == 1


# --- podman and skopeo ---------------------------------------------------------------------------


def _podman(world: World, who: str, *arguments: object, check: bool = True):
    client = require("podman")
    storage = world.folder / "podman"
    registries = world.folder / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{world.host}"\ninsecure = true\n')
    policy = world.folder / "containers-policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    places = ["--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]
    home = world.environment(who)["HOME"]
    config = Path(home) / ".config" / "containers"
    config.mkdir(parents=True, exist_ok=True)
    (config / "policy.json").write_text(policy.read_text())
    extra = {"CONTAINERS_REGISTRIES_CONF": str(registries)}
    return world.run(who, client.path, *places, *arguments, check=check, **extra)


def test_podman(images: World, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("podman")
    images.run("ci", "tar", "-C", tmp_path, "-cf", tmp_path / "root.tar", "hello")
    name = f"{images.host}/open/podman:1"
    _podman(images, "ci", "import", tmp_path / "root.tar", name)
    _podman(images, "ci", "push", name)
    _podman(images, "ci", "rmi", name)
    _podman(images, "prod", "pull", name)
    _podman(images, "prod", "pull", f"{images.host}/shop/web:1")
    refused = _podman(images, "prod", "pull", f"{images.host}/shop/bare:1", check=False)
    assert refused.returncode == 125
    check_golden("podman-pull-refused", refused.stderr, images.host)


def test_skopeo(images: World, layout: Path, tmp_path: Path) -> None:
    client = require("skopeo")
    copy = [client.path, "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    name = f"docker://{images.host}/open/skopeo:1"
    images.run("ci", *copy, "--all", f"oci:{layout}:multi", name)
    images.run("prod", *copy, "--all", name, f"oci:{tmp_path / 'out'}:multi")
    digest = json.loads((tmp_path / "out" / "index.json").read_text())["manifests"][0]["digest"]
    assert digest == digest_of(images, f"{images.host}/open/skopeo:1")
    signed = f"docker://{images.host}/shop/web@{digest_of(images, f'{images.host}/shop/web:1')}"
    images.run("prod", *copy, signed, f"oci:{tmp_path / 'web'}:1")
    refused = images.run(
        "prod", *copy, f"docker://{images.host}/shop/bare:1", f"oci:{tmp_path / 'no'}:1", check=False
    )
    assert refused.returncode == 1
    check_golden("skopeo-copy-refused", refused.stderr, images.host)


# --- containerd ----------------------------------------------------------------------------------


def test_ctr(images: World, containerd: Containerd) -> None:
    secret = images.configs["prod"] / "config.json"
    login = _basic(secret, images.host)
    pull = ["images", "pull", "--plain-http", "--user", login]
    for name in ("shop/web:1", "shop/multi:1"):
        images.run("prod", *containerd.command(*pull, "--all-platforms", f"{images.host}/{name}"))
    push = [
        "images",
        "push",
        "--plain-http",
        "--user",
        _basic(images.configs["ci"] / "config.json", images.host),
    ]
    images.run("ci", *containerd.command(*push, f"{images.host}/open/ctr:1", f"{images.host}/shop/multi:1"))
    assert digest_of(images, f"{images.host}/open/ctr:1") == digest_of(images, f"{images.host}/shop/multi:1")
    refused = images.run("prod", *containerd.command(*pull, f"{images.host}/shop/bare:1"), check=False)
    assert refused.returncode == 1
    # the first line speaks of the machine, not of us
    check_golden("ctr-pull-refused", refused.stderr.strip().splitlines()[-1], images.host)


def _basic(config: Path, host: str) -> str:
    import base64

    return base64.b64decode(json.loads(config.read_text())["auths"][host]["auth"]).decode()


# --- crane, oras, regctl, helm -------------------------------------------------------------------


def test_crane(images: World, layout: Path, tmp_path: Path) -> None:
    crane = require("crane").path
    images.run("ci", crane, "push", "--insecure", "--index", layout, f"{images.host}/open/crane:1")
    images.run(
        "ci", crane, "copy", "--insecure", f"{images.host}/open/crane:1", f"{images.host}/open/crane2:1"
    )
    digest = digest_of(images, f"{images.host}/shop/multi:1")
    images.run(
        "prod",
        crane,
        "pull",
        "--insecure",
        "--format=oci",
        f"{images.host}/shop/multi@{digest}",
        tmp_path / "m",
    )
    tags = images.run("prod", crane, "ls", "--insecure", f"{images.host}/open/crane").stdout
    assert tags.split() == ["1"]
    refused = images.run(
        "prod", crane, "pull", "--insecure", f"{images.host}/shop/bare:1", tmp_path / "b.tar", check=False
    )
    assert refused.returncode == 1
    check_golden("crane-pull-refused", refused.stderr, images.host)


def test_oras(images: World, tmp_path: Path) -> None:
    oras = require("oras").path
    (tmp_path / "notes.txt").write_text("an artifact")
    name = f"{images.host}/open/oras:1"
    push = [oras, "push", "--plain-http", "--artifact-type", "application/vnd.test.notes", name, "notes.txt"]
    environment = images.environment("ci")
    from tests.interop.world import run

    run([str(part) for part in push], environment, tmp_path)
    attach = [
        oras,
        "attach",
        "--plain-http",
        "--artifact-type",
        "application/vnd.test.more",
        name,
        "notes.txt",
    ]
    run([str(part) for part in attach], environment, tmp_path)
    tree = images.run("prod", oras, "discover", "--plain-http", name).stdout
    assert "application/vnd.test.more" in tree
    images.run("prod", oras, "pull", "--plain-http", "-o", tmp_path / "out", name)
    assert (tmp_path / "out" / "notes.txt").read_text() == "an artifact"
    web = f"{images.host}/shop/web:1"
    images.run("prod", oras, "copy", "--from-plain-http", web, "--to-oci-layout", f"{tmp_path / 'web'}:1")
    bare = f"{images.host}/shop/bare:1"
    refused = images.run(
        "prod",
        oras,
        "copy",
        "--from-plain-http",
        bare,
        "--to-oci-layout",
        f"{tmp_path / 'no'}:1",
        check=False,
    )
    assert refused.returncode == 1
    check_golden("oras-copy-refused", refused.stderr, images.host)


def test_regctl(images: World, layout: Path, tmp_path: Path) -> None:
    regctl = require("regctl").path
    for who in ("ci", "prod"):
        images.run(who, regctl, "registry", "set", "--tls", "disabled", images.host)
    images.run("ci", regctl, "image", "copy", f"ocidir://{layout}:multi", f"{images.host}/open/regctl:1")
    images.run("prod", regctl, "image", "copy", f"{images.host}/shop/web:1", f"ocidir://{tmp_path / 'web'}:1")
    refused = images.run("prod", regctl, "manifest", "get", f"{images.host}/shop/bare:1", check=False)
    assert refused.returncode == 1
    check_golden("regctl-manifest-refused", refused.stderr, images.host)


def test_helm(images: World, tmp_path: Path) -> None:
    helm = require("helm").path
    images.run("ci", helm, "create", tmp_path / "chart")
    images.run("ci", helm, "package", tmp_path / "chart", "-d", tmp_path)
    archive = tmp_path / "chart-0.1.0.tgz"
    for project in ("open", "shop"):
        images.run("ci", helm, "push", "--plain-http", archive, f"oci://{images.host}/{project}")
    (tmp_path / "out").mkdir()
    images.run(
        "prod", helm, "pull", "--plain-http", f"oci://{images.host}/open/chart", "-d", tmp_path / "out"
    )
    assert (tmp_path / "out" / "chart-0.1.0.tgz").read_bytes() == archive.read_bytes()
    pull = [helm, "pull", "--plain-http", f"oci://{images.host}/shop/chart", "--version", "0.1.0"]
    refused = images.run("prod", *pull, check=False)
    assert refused.returncode == 1
    check_golden("helm-pull-refused", refused.stderr, images.host)
    reference = f"{images.host}/shop/chart:0.1.0"
    images.trustgate("ci", "sign", "--key", images.key_file, reference)
    images.run("prod", *pull, "-d", tmp_path)


# --- every client, by digest -------------------------------------------------------------------------

_PULLERS = ("docker", "podman", "skopeo", "ctr", "crane", "oras", "regctl")


@pytest.mark.parametrize("client", _PULLERS)
def test_by_digest_one_platform_many_platforms_and_unsigned(
    images: World, request: pytest.FixtureRequest, tmp_path: Path, client: str
) -> None:
    """A name that hides the tag opens no door, and closes none: for one image and for an index."""
    for name, allowed in (("web", True), ("multi", True), ("bare", False)):
        digest = digest_of(images, f"{images.host}/shop/{name}:1")
        reference = f"{images.host}/shop/{name}@{digest}"
        done = _pull(images, request, client, reference, tmp_path / name)
        assert (done.returncode == 0) is allowed, f"{name}: {done.stdout}{done.stderr}"
        assert allowed or "trustgate" in done.stderr + done.stdout


def _pull(
    world: World, request: pytest.FixtureRequest, client: str, reference: str, place: Path
) -> subprocess.CompletedProcess[str]:
    """As ``prod``, by the means of each client."""
    if client == "docker":
        return _docker(world, request.getfixturevalue("docker"), "prod", "pull", reference, check=False)
    if client == "podman":
        return _podman(world, "prod", "pull", reference, check=False)
    if client == "ctr":
        daemon: Containerd = request.getfixturevalue("containerd")
        login = _basic(world.configs["prod"] / "config.json", world.host)
        pull = daemon.command("images", "pull", "--plain-http", "--user", login, "--all-platforms", reference)
        return world.run("prod", *pull, check=False)
    path = require(client).path
    if client == "regctl":
        world.run("prod", path, "registry", "set", "--tls", "disabled", world.host)
    from_registry: dict[str, list[object]] = {
        "skopeo": ["--insecure-policy", "copy", "--all", "--src-tls-verify=false", f"docker://{reference}"],
        "crane": ["pull", "--insecure", "--format=oci", reference, place],
        "oras": ["copy", "--from-plain-http", reference, "--to-oci-layout", f"{place}:1"],
        "regctl": ["image", "copy", reference, f"ocidir://{place}:1"],
    }
    more = [f"oci:{place}:1"] if client == "skopeo" else []
    return world.run("prod", path, *from_registry[client], *more, check=False)


# --- cosign --------------------------------------------------------------------------------------

_KEYS = ("p256", "ed25519", "rsa")


@pytest.mark.parametrize("kind", _KEYS)
def test_what_we_sign_cosign_verifies(images: World, layout: Path, tmp_path: Path, kind: str) -> None:
    cosign = require("cosign").path
    images.trustgate("ci", "key", "generate", "--type", kind, "--output", tmp_path / "k")
    for number, shape in enumerate(((), ("--legacy",))):
        name = f"{images.host}/open/by-us-{kind}-{number}:1"
        images.trustgate("ci", "push", f"oci-layout:{layout}:web", name)
        images.trustgate("ci", "sign", *shape, "--key", tmp_path / "k.key", name)
        verify = [cosign, "verify", "--allow-http-registry", "--insecure-ignore-tlog=true", "--key"]
        done = images.run("prod", *verify, tmp_path / "k.pub", name)
        assert "The signatures were verified against the specified public key" in done.stderr
        wrong = images.run("prod", *verify, images.public_key_file, name, check=False)
        assert wrong.returncode != 0


@pytest.mark.parametrize("kind", _KEYS)
def test_what_cosign_signs_we_verify_and_the_gate_admits(
    images: World, layout: Path, tmp_path: Path, kind: str
) -> None:
    """cosign 3.1.2 makes Ed25519ph with Ed25519 keys, and does not verify that itself."""
    cosign, crane = require("cosign").path, require("crane").path
    name = f"{images.host}/by/{kind}:1"
    pull = [crane, "pull", "--insecure", name, tmp_path / "image.tar"]
    images.trustgate("ci", "push", f"oci-layout:{layout}:web", name)
    assert images.run("prod", *pull, check=False).returncode == 1
    sign = [
        cosign,
        "sign",
        "-y",
        "--allow-http-registry",
        "--use-signing-config=false",
        "--tlog-upload=false",
    ]
    images.run("ci", *sign, "--key", images.key(kind), name)
    images.run("prod", *pull)
    prehashed = ["--ed25519ph"] if kind == "ed25519" else []
    ours = images.trustgate("prod", "verify", *prehashed, "--key", images.key(kind, "pub"), name)
    assert ours.stdout.startswith("verified")
    wrong = images.trustgate("prod", "verify", "--key", images.public_key_file, name, check=False)
    assert wrong.returncode == 1
    theirs = [cosign, "verify", "--allow-http-registry", "--insecure-ignore-tlog=true", "--key"]
    done = images.run("prod", *theirs, images.key(kind, "pub"), name, check=False)
    plain = images.trustgate("prod", "verify", "--key", images.key(kind, "pub"), name, check=False)
    assert (done.returncode == 0) == (plain.returncode == 0) == (kind != "ed25519")


def test_cosign_tree(images: World) -> None:
    cosign = require("cosign").path
    tree = images.run("prod", cosign, "tree", "--allow-http-registry", f"{images.host}/shop/web:1")
    assert "Supply Chain Security Related artifacts" in tree.stdout
    assert "https://sigstore.dev/cosign/sign/v1" in tree.stdout
