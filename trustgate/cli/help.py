"""``trustgate help``: a command's help, or one of the topics."""

from __future__ import annotations

import click

from trustgate.cli.main import EXIT_CODES

TOPICS = {"exit-codes": EXIT_CODES.replace("\b\n", "").strip()}


@click.command("help", epilog=EXIT_CODES)
@click.argument("words", nargs=-1, metavar="[COMMAND…|exit-codes]")
@click.pass_context
def show_help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, or the exit codes.

    \b
      trustgate help exit-codes
      trustgate help policy lint
    """
    root = ctx.find_root()
    if len(words) == 1 and words[0] in TOPICS:
        click.echo(TOPICS[words[0]])
        return
    command, inner = root.command, root
    for word in words:
        if not isinstance(command, click.Group):
            raise click.UsageError(f"{inner.command_path} has no commands of its own", inner)
        name, found, _rest = command.resolve_command(inner, [word])
        if found is None:
            raise click.UsageError(f"there is no command {word!r}", inner)
        command, inner = found, click.Context(found, info_name=name, parent=inner)
    click.echo(command.get_help(inner))
