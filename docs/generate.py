"""Write the pages that are generated from code: ``python docs/generate.py`` (``--check`` only compares)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click

import trustgate
from trustgate.api.errors import row_of
from trustgate.cli.main import EXIT_CODES, HELP_WIDTH, cli
from trustgate.cli.serve import serve
from trustgate.errors import TrustgateError
from trustgate.settings import ENVIRONMENT_PREFIX, Settings

HERE = Path(__file__).parent
GIB = 1024**3


def errors_page() -> str:
    """Every error class: code, what it means, what the wire shows."""
    lines = ["# Errors", "", "Generated from the code by `docs/generate.py`.", ""]
    for error in sorted(_classes(), key=lambda item: item.code):
        status, code = row_of(error.__new__(error))
        lines += [f"## {error.code}", "", " ".join((error.__doc__ or "").split()).replace("``", "`"), ""]
        lines += [f"On `/v2/`: {status}, `{code}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _classes() -> Iterator[type[TrustgateError]]:
    for module in walk_packages(trustgate.__path__, "trustgate."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    seen: set[str] = set()
    waiting = [TrustgateError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.code not in seen:
            seen.add(error.code)
            yield error


def cli_page() -> str:
    """The help of every command as a terminal shows it, and the settings of the server."""
    lines = ["# Command line", "", "Generated from the code by `docs/generate.py`.", ""]
    lines += ["## Exit codes", "", *_block(_without_marks(EXIT_CODES)), *_settings()]
    for path, command in _commands("trustgate", cli, None):
        lines += [f"## {path.command_path}", "", *_block(_help(command, path)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[click.Context, click.Command]]:
    """The command and all below it, in the order of their lists, at one width on every terminal."""
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=HELP_WIDTH,
        help_option_names=["-h", "--help"],
    )
    yield context, command
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _commands(child, found, context)


def _help(command: click.Command, context: click.Context) -> str:
    """The help without the exit codes, which stand at the top of the page."""
    text = command.get_help(context)
    return text.partition(f"\n  {EXIT_CODES.partition(chr(10))[0]}")[0].rstrip()


def _settings() -> list[str]:
    """Each setting of the server: key, variable, option, default."""
    lines = [
        "",
        "## Settings of the server",
        "",
        "`trustgate serve` takes the option before the variable, the variable before `trustgate.toml`.",
        "",
        "| `trustgate.toml` | variable | option | default |",
        "|---|---|---|---|",
    ]
    options = {option.name: option.opts[0] for option in serve.params if isinstance(option, click.Option)}
    for setting in fields(Settings):
        option = f"`{options[setting.name]}`" if setting.name in options else ""
        variable = f"{ENVIRONMENT_PREFIX}{setting.name.upper()}"
        lines.append(f"| `{setting.name}` | `{variable}` | {option} | {_shown(setting.default)} |")
    return [*lines, ""]


def _shown(default: object) -> str:
    values = default if isinstance(default, tuple) else (default,)
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    if isinstance(default, int) and default >= GIB:
        words = [f"{default // GIB}GiB"]
    return f"`{','.join(words)}`" if default not in {None, ""} else ""


def _without_marks(text: str) -> str:
    """Click's mark for "do not wrap" is no text."""
    return text.replace("\b\n", "").strip()


def _block(text: str) -> list[str]:
    return ["```text", *(line.rstrip() for line in text.splitlines()), "```"]


def verified_page() -> str:
    """The page as it is written by hand, with the tables of verdicts that tests wrote."""
    page = (HERE / "what-verified-means.md").read_text("utf-8")
    head, begin, rest = page.partition("<!-- generated: stricter -->\n")
    _, end, tail = rest.partition("<!-- end -->")
    return f"{head}{begin}\n{_tables_of_verdicts()}\n{end}{tail}"


def _tables_of_verdicts() -> str:
    """Each golden file that names our differences from a client, one heading lower."""
    files = sorted((HERE.parent / "tests").glob("**/golden/stricter*.md"), key=lambda path: path.name)
    return "\n".join(f"##{path.read_text('utf-8').strip()}\n" for path in files)


PAGES = {"cli.md": cli_page, "errors.md": errors_page, "what-verified-means.md": verified_page}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path = HERE / name
        text = page()
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
