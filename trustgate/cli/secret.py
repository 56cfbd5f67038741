"""Passwords: asked for on a terminal, read from stdin, and never taken for given when neither has one."""

from __future__ import annotations

import sys

import click


def secret_from_stdin() -> str:
    """The first line. An empty one is a mistake: a variable that is not set, a file that is empty."""
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise click.UsageError("--password-stdin: there is nothing on stdin (is the variable or file empty?)")
    return secret


def ask_secret(what: str, *, instead: str, confirm: bool = False, may_be_empty: bool = False) -> str:
    """Ask on the terminal; ``instead`` says how to give the secret where there is none."""
    if not (sys.stdin.isatty() or sys.stderr.isatty()):
        raise click.UsageError(f"there is no terminal to ask for the {what.lower()}: {instead}")
    asked: str = click.prompt(
        what,
        hide_input=True,
        confirmation_prompt=confirm,
        default="" if may_be_empty else None,
        show_default=False,
        err=True,
    )
    return asked
