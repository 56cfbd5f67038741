"""``trustgate demo``: a real server, a real policy repository, three pulls."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import click

from trustgate.cli.demo_content import (
    IMAGES,
    POLICY_FILES,
    PUBLIC_KEY_PATH,
    DemoImage,
    build_image,
    write_advisories,
)
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.output import note, printable, styled

START_TIMEOUT_S: Final = 60.0
SCAN_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.05
_COLOURS = {"ALLOWED": "green", "WARN": "yellow", "DENIED": "red"}
_VERDICTS = {"allow": "ALLOWED", "warn": "WARN", "deny": "DENIED"}


@click.command(epilog=EXIT_CODES)
@click.option(
    "--once", is_flag=True, help="End after the walk; exit 0 if the outcomes are as they should be."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("trustgate-demo"),
    show_default=True,
    help="Where everything is kept; a demo that lies there already is replaced.",
)
@click.option("--port", type=int, default=0, help="Port to listen on.  [default: a free one]")
def demo(once: bool, directory: Path, port: int) -> None:
    """See it work: a registry, a policy in git, three images, one of them refused.

    \b
      trustgate demo
      trustgate demo --once
    """
    began = time.monotonic()
    with _Demo(directory, port) as walk:
        right = walk.run()
        took = f"{time.monotonic() - began:.1f} s"
        click.echo(f"Everything lives in {directory}; remove the folder to undo.   total {took}")
        if not once:
            walk.leave_running()
    raise click.exceptions.Exit(0 if right else 1)


@dataclass(slots=True)
class _Outcome:
    image: DemoImage
    verdict: str
    reasons: list[str]
    link: str


class _Demo:
    """One walk; everything that it makes stands below one folder."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._port = port
        self._url = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(timeout=10)
            self._server.kill()

    @property
    def _host(self) -> str:
        return self._url.partition("://")[2]

    def run(self) -> bool:
        """The six steps. True when every image met the outcome that it should."""
        self._prepare_folder()
        key = self._policy_repository()
        self._start()
        secrets = self._accounts()
        layout = self._build()
        self._push_and_sign(layout, key, secrets["ci"])
        self._wait_for_scans()
        outcomes = [self._pull(image, secrets["prod"]) for image in IMAGES]
        self._tell(outcomes)
        return all(outcome.verdict == outcome.image.outcome for outcome in outcomes)

    def leave_running(self) -> None:
        """Say what to try, and wait for Ctrl-C."""
        code = (self._directory / "log").read_text("utf-8", "replace")
        setup = next((word for word in code.split() if "/setup/" in word), "")
        prod = (self._directory / "prod-robot-secret").resolve()
        click.echo(f"Open  {setup or self._url}")
        trustgate = own_command()
        login = "docker" if shutil.which("docker") else trustgate  # they keep logins in the same place
        click.echo(f"Try   {login} login {self._host} -u 'robot$prod' --password-stdin < {prod}")
        click.echo(f"      docker pull {self._host}/shop/old:1")
        click.echo(f"      {trustgate} why {self._host}/shop/old:1")
        note("the registry is running; Ctrl-C stops it")
        if self._server is not None:
            with contextlib.suppress(KeyboardInterrupt):
                self._server.wait()

    # --- the steps -------------------------------------------------------------------------------

    @contextmanager
    def _told(self, what: str, where: str) -> Iterator[Callable[[str], None]]:
        self._step += 1
        began = time.monotonic()
        extra: list[str] = []
        yield extra.append
        took = f"{time.monotonic() - began:.1f} s"
        tail = "   ".join([took, *extra])
        click.echo(f"{self._step}/6 {what:<24} {where:<34} {styled('ok', 'green')}   {tail}")

    def _prepare_folder(self) -> None:
        from trustgate.errors import ConfigInvalid

        marker = self._directory / ".trustgate-demo"
        if self._directory.exists() and not marker.exists():
            raise ConfigInvalid(
                f"{self._directory} exists and was not made by the demo", hint="choose another --directory"
            )
        try:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory.mkdir(parents=True)
            marker.touch()
        except OSError as exc:
            raise ConfigInvalid(
                f"{self._directory} can't be made: {exc.strerror}", hint="choose another --directory"
            ) from exc

    def _policy_repository(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec
        from dulwich import porcelain

        from trustgate.evidence.cosign_key import public_pem, write_private_key

        folder = self._directory / "policy"
        with self._told("policy repository", str(folder)) as say:
            key = ec.generate_private_key(ec.SECP256R1())
            files = {**POLICY_FILES, PUBLIC_KEY_PATH: public_pem(key).decode()}
            for path, text in files.items():
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            (self._directory / "demo-ci.key").write_bytes(write_private_key(key, b""))
            repository = porcelain.init(str(folder))
            porcelain.add(repository, [str((folder / path).resolve()) for path in files])
            author = b"demo <demo@trustgate.invalid>"
            porcelain.commit(repository, message=b"The demo's policy", author=author, committer=author)
            repository.close()
            say("3 rules, 1 trusted key")
        return key

    def _start(self) -> None:
        from trustgate.api.listen import bind

        data = self._directory / "data"
        self._import_advisories(data)
        with bind("127.0.0.1", self._port) as sock:
            self._port = sock.getsockname()[1]
        self._url = f"http://localhost:{self._port}"
        with self._told("start registry", self._url), (self._directory / "log").open("wb") as log:
            command = [sys.executable, "-m", "trustgate", "serve", "--port", str(self._port)]
            command += ["--data", str(data), "--policy", str(self._directory / "policy")]
            command += ["--public-url", self._url]
            self._server = subprocess.Popen(command, stderr=log, stdout=log)  # noqa: S603 - our own command
            self._wait_until_ready()

    def _import_advisories(self, data: Path) -> None:
        from trustgate.cli.db import scanner

        sample = self._directory / "advisories.zip"
        write_advisories(sample)
        scanner(data).import_advisories([sample], progress=lambda *_: None, now=datetime.now(UTC))

    def _wait_until_ready(self) -> None:
        from trustgate.errors import UpstreamFailed
        from trustgate.remote.api_client import ApiClient

        client = ApiClient(self._url, None)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                client.call("GET", "/api/v1/version")
            except UpstreamFailed:
                ended = self._server is not None and self._server.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self._directory / "log").read_text("utf-8", "replace")
                    raise UpstreamFailed(f"the demo's server did not start:\n{log[-2000:]}") from None
                time.sleep(POLL_S)
            else:
                return

    def _api(self) -> Any:
        from trustgate.remote.api_client import ApiClient
        from trustgate.remote.docker_config import Credential

        password = (self._directory / "data" / "initial-admin-password").read_text("utf-8").strip()
        return ApiClient(self._url, Credential("admin", password, "the demo"))

    def _accounts(self) -> dict[str, str]:
        api = self._api()
        wanted = {"ci": ["shop=pull,push"], "prod": ["shop=pull"]}
        secrets = {}
        for name, grants in wanted.items():
            secrets[name] = api.call("POST", "/api/v1/robots", body={"name": name, "grants": grants})[
                "secret"
            ]
            path = self._directory / f"{name}-robot-secret"
            path.touch(mode=0o600)
            path.write_text(secrets[name], encoding="utf-8")
        return secrets

    def _build(self) -> Any:
        from trustgate.remote.layout import LayoutSource

        with self._told("build 3 images in Python", "(no docker needed)"):
            layout = LayoutSource(self._directory / "images", create=True)
            for image in IMAGES:
                build_image(image, layout)
        return layout

    def _client(self, image: DemoImage, robot: str, secret: str) -> Any:
        from trustgate.oci.names import RepositoryName
        from trustgate.remote.docker_config import Credential
        from trustgate.remote.registry import RegistryClient

        credential = Credential(f"robot${robot}", secret, "the demo")
        return RegistryClient(self._host, RepositoryName(image.repository), credential)

    def _push_and_sign(self, layout: Any, key: Any, secret: str) -> None:
        from trustgate.flows.sign import sign_image
        from trustgate.flows.transfer import copy_image
        from trustgate.oci.names import Tag

        names = " ".join(f"{image.repository}:1" for image in IMAGES)
        with self._told("push 3, sign 2", names):
            for image in IMAGES:
                start = Tag(image.repository.replace("/", "-"))
                with self._client(image, "ci", secret) as client:
                    copy_image(layout, start, client, Tag("1"), progress=lambda *_: None)
                    if image.signed:
                        sign_image(client, Tag("1"), key, annotations={}, now=datetime.now(UTC))

    def _wait_for_scans(self) -> None:
        api = self._api()
        with self._told("scan", "against 4 made-up advisories") as say:
            deadline = time.monotonic() + SCAN_TIMEOUT_S
            waiting = {image.repository for image in IMAGES}
            while waiting and time.monotonic() < deadline:
                for name in sorted(waiting):
                    found = api.call("GET", "/api/v1/why", query={"ref": f"{name}:1", "as": "robot:prod"})
                    if any(row["kind"] == "scan" and row["outcome"] == "ok" for row in found["evidence"]):
                        waiting.discard(name)
                time.sleep(POLL_S)
            say(f"{sum(len(image.packages) for image in IMAGES)} packages")

    def _pull(self, image: DemoImage, secret: str) -> _Outcome:
        """A real pull; the reasons come from the decision behind it."""
        from trustgate.errors import UpstreamRefused
        from trustgate.oci.names import Tag

        with self._client(image, "prod", secret) as client:
            try:
                client.manifest(Tag("1"))
                verdict = "WARN" if client.warnings else "ALLOWED"
            except UpstreamRefused:
                verdict = "DENIED"
            decision = client.decision
        api = self._api()
        query = {"ref": f"{image.repository}:1", "as": "robot:prod"}
        found = (
            api.call("GET", f"/api/v1/decisions/{decision}")
            if decision
            else api.call("GET", "/api/v1/why", query=query)
        )
        return _Outcome(image, verdict, _reasons(found), f"{self._url}/d/{found['id']}")

    def _tell(self, outcomes: list[_Outcome]) -> None:
        self._step += 1
        click.echo(f'{self._step}/6 pull as robot "prod"')
        for outcome in outcomes:
            name = f"{outcome.image.repository}:1"
            first, *rest = outcome.reasons
            click.echo(
                f"    {name:<12} {styled(outcome.verdict.ljust(9), _COLOURS[outcome.verdict])} {first}"
            )
            for line in rest:
                click.echo(f"    {'':<12} {'':<9} {line}")
            click.echo(f"    {'':<12} {'':<9} {outcome.link}")


def _reasons(found: dict[str, Any]) -> list[str]:
    """What speaks against it; for an allowed pull, what speaks for it."""
    against = [rule for rule in found["rules"] if rule["outcome"] in {"fail", "unknown"}]
    chosen = against or found["rules"]
    return [printable(f"{rule['rule']}: {rule['message']}")[:110] for rule in chosen] or ["no rule applies"]


def own_command() -> str:
    """How this program is called from here: ``make demo`` leaves it inside a virtual environment."""
    mine = Path(sys.executable).with_name("trustgate")
    found = shutil.which("trustgate")
    if found is not None and Path(found).resolve() == mine.resolve():
        return "trustgate"
    here = Path.cwd()
    return str(mine.relative_to(here) if mine.is_relative_to(here) else mine)
