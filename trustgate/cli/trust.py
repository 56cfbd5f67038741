"""``trustgate trust``: what trust material holds, and what of it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import at_option, moment_of, output_option
from trustgate.cli.output import NO, OK, emit_json, mark, note, printable, table
from trustgate.cli.whole_file import write_whole

if TYPE_CHECKING:
    from trustgate.evidence.trust_contents import Contents, Held, Judged

HEADER = ("", "what", "name", "from", "until", "id")


@click.group(epilog=EXIT_CODES)
def trust() -> None:
    """See what is trusted, and what of it ends within 90 days or has ended.

    \b
      trustgate trust inspect trusted_root.json
      trustgate trust list --policy ./policy
      trustgate trust update policy/trust/sigstore.json
    """


@trust.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mirror", default="", metavar="URL", help="A TUF repository; else sigstore.dev's.")
@click.option(
    "--root", type=click.Path(path_type=Path), help="Its root.json, which is trusted; needed with --mirror."
)
@click.option(
    "--state", type=click.Path(path_type=Path), help="Folder that remembers, so that no mirror goes back."
)
@output_option
def update(file: Path, mirror: str, root: Path | None, state: Path | None, output: str) -> None:
    """Bring a Sigstore trusted root up to date from its TUF repository, verified from a pinned root on.

    \b
      trustgate trust update policy/trust/sigstore.json
      trustgate trust update own.json --mirror https://tuf.example.com --root root.json --state ./tuf

    The file is written whole and only when it changes, so that a job can run this and commit what is new:
    what the gate trusts stays in git. Exit code 3, and nothing is written, when the repository can't be
    reached or does not verify.
    """
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.trust_contents import judge_held, read_trust_file
    from trustgate.remote.trust_root import PUBLIC_GOOD_URL
    from trustgate.remote.tuf_mirror import fetch_trusted_root, public_good_root

    if bool(mirror) != bool(root):
        raise click.UsageError("--mirror and --root stand together: a mirror is not trusted for its address")
    pinned = read_file(root) if root else public_good_root()
    fetched = fetch_trusted_root(mirror or PUBLIC_GOOD_URL, pinned=pinned, state=state)
    judged = judge_held(read_trust_file(fetched).held, moment_of(None))
    changed = not file.exists() or file.read_bytes() != fetched
    if changed:
        write_whole(file, fetched, overwrite=True)
    if output == "json":
        emit_json("trust-update/1", {"file": str(file), "changed": changed, "warnings": _warnings(judged)})
        return
    note(f"{file}: {'updated' if changed else 'up to date'}")
    for warning in _warnings(judged):
        note(f"warning: {warning}")


@trust.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
@at_option
@output_option
def inspect(file: Path, at: str | None, output: str) -> None:
    """Show what a file of trust material holds: ids, fingerprints, and from when until when.

    \b
      trustgate trust inspect trusted_root.json      a Sigstore trusted root
      trustgate trust inspect cosign.pub             a public key, and its id
      trustgate trust inspect ca.pem                 certificates, PEM or DER
      trustgate trust inspect charts.gpg             an OpenPGP keyring, armored or binary
      trustgate trust inspect ~/.config/notation     a notation trust store

    Exit code 1 when something has ended. What has ended in a trusted root while another of its kind is
    valid is retired: it goes on vouching for what was signed then, and is no loss.
    """
    from trustgate.evidence.trust_contents import has_ended, judge_held

    now = moment_of(at)
    found = _contents(file)
    judged = judge_held(found.held, now)
    if output == "json":
        document = {"source": str(file), "kind": found.kind, "holds": [_as_json(one) for one in judged]}
        emit_json("trust/1", {**document, "warnings": _warnings(judged)})
    else:
        note(f"{file}: {found.kind}")
        table(HEADER, [_row(one) for one in judged])
        _warn(judged)
    raise click.exceptions.Exit(1 if has_ended(judged) else 0)


@trust.command("list", epilog=EXIT_CODES)
@click.option(
    "--policy",
    "source",
    required=True,
    metavar="SOURCE",
    help="Policies: a git repository, or dir:PATH.",
)
@at_option
@output_option
def list_attestors(source: str, at: str | None, output: str) -> None:
    """Show everyone whose signature a policy may count, and what their trust rests on.

    \b
      trustgate trust list --policy ./policy
      trustgate trust list --policy dir:./policy --at 2027-06-01T00:00:00Z

    Exit code 1 when an attestor has ended, or something that one rests on.
    """
    from trustgate.cli.policy import load_policies
    from trustgate.evidence.trust_contents import has_ended, held_by, judge_held, window_of

    now = moment_of(at)
    attestors = load_policies(source).attestors
    windows = judge_held([window_of(one) for one in attestors], now)
    rests_on = [judge_held(_with_lives(held_by(one.trust), _keyring_of(one.trust)), now) for one in attestors]
    warnings = [
        f"{window.held.name}: {text}"
        for window, judged in zip(windows, rests_on, strict=True)
        for text in _warnings([window, *judged])
    ]
    if output == "json":
        listed = [
            {**_as_json(window), "type": window.held.kind, "holds": [_as_json(one) for one in judged]}
            for window, judged in zip(windows, rests_on, strict=True)
        ]
        emit_json("attestors/1", {"source": source, "attestors": listed, "warnings": warnings})
    else:
        table(("", "type", "name", "from", "until", "identity"), [_row(one) for one in windows])
        if not windows:
            note("this policy names no attestor: nobody's signature counts")
        for text in warnings:
            note(f"warning: {printable(text)}")
    ended = has_ended(windows) or any(map(has_ended, rests_on))
    raise click.exceptions.Exit(1 if ended else 0)


def _contents(file: Path) -> Contents:
    """Raises ``ConfigInvalid``, ``InvalidInput``, ``KeyUnreadable``, ``OpenPgpUnavailable``."""
    from dataclasses import replace

    from trustgate.cli.signing_options import read_up_to
    from trustgate.evidence.helm.trust import MAX_KEYRING_BYTES
    from trustgate.evidence.trust_contents import read_store, read_trust_file
    from trustgate.remote.notation_store import read_trust_store

    if file.is_dir():
        return read_store(read_trust_store(file))
    found = read_trust_file(read_up_to(file, MAX_KEYRING_BYTES, "is it the right file?"))
    return replace(found, held=_with_lives(found.held, found.keyring))


def _keyring_of(given: Any) -> bytes | None:
    from trustgate.evidence.helm.trust import GpgTrust

    return given.keyring if isinstance(given, GpgTrust) else None


def _with_lives(held: tuple[Held, ...], keyring: bytes | None) -> tuple[Held, ...]:
    """When OpenPGP keys end stands in signatures by themselves, which gpg verifies."""
    from trustgate.evidence.trust_contents import with_lives
    from trustgate.remote.gpg import Gpg

    if keyring is None:
        return held
    with closing(Gpg()) as gpg:
        return with_lives(held, gpg.lives(keyring))


def _row(one: Judged) -> Sequence[str]:
    held = one.held
    words = {"ended": NO, "refused": NO, "valid": OK}
    word = words.get(str(one.standing), str(one.standing))
    name = f"{held.name} ({held.place})" if held.place else held.name
    return mark(word).strip(), held.kind, name, _day(held.not_before), _day(held.not_after), held.id


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d}"


def _as_json(one: Judged) -> dict[str, Any]:
    held = one.held
    return {
        "kind": held.kind,
        "name": held.name,
        "id": held.id,
        "notBefore": held.not_before.isoformat() if held.not_before else None,
        "notAfter": held.not_after.isoformat() if held.not_after else None,
        "standing": str(one.standing),
        "problem": held.problem,
        "place": held.place,
    }


def _warnings(judged: Iterable[Judged]) -> list[str]:
    return [f"{one.held.kind} {one.held.name or one.held.id} {one.warning}" for one in judged if one.warning]


def _warn(judged: Iterable[Judged]) -> None:
    for text in _warnings(judged):
        note(f"warning: {printable(text)}")
