"""``trustgate user``, ``robot`` and ``project``: accounts of a running server."""

from __future__ import annotations

from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, password_stdin_option, server_option
from trustgate.cli.output import emit_json, note, table

_grant = click.option(
    "--grant",
    "grants",
    multiple=True,
    metavar="PATTERN=PERMISSIONS",
    help="e.g. shop=pull,push or shop/web=pull",
)
_group = click.option("--group", "groups", multiple=True, help="Policies can name groups.")


def _api(server: str) -> Any:
    from trustgate.cli.server import Api

    return Api(server)


def _new_password(from_stdin: bool) -> str:
    from trustgate.cli.secret import ask_secret, secret_from_stdin

    return (
        secret_from_stdin()
        if from_stdin
        else ask_secret("Password", instead="--password-stdin", confirm=True)
    )


def _list(kind: str, server: str, output: str) -> None:
    items = _api(server).get(f"/api/v1/{kind}")["items"]
    if output == "json":
        emit_json(f"{kind}/1", {"items": items})
        return
    rows = [
        [
            item["name"],
            "disabled" if item["disabled"] else "admin" if item["admin"] else "",
            " ".join(item["grants"]),
            (item["expires_at"] or "")[:10],
        ]
        for item in items
    ]
    table(["NAME", "STATE", "GRANTS", "EXPIRES"], rows)


def _delete(name: str, server: str) -> None:
    from trustgate.cli.server import segment

    _api(server).delete(f"/api/v1/accounts/{segment(name)}")
    note(f"deleted {name}")


@click.group(epilog=EXIT_CODES)
def user() -> None:
    """Manage users.

    \b
      trustgate user create alice --grant shop=pull,push
      trustgate user ls
    """


@user.command("create", epilog=EXIT_CODES)
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything.")
@password_stdin_option
@_grant
@_group
@server_option
def user_create(
    name: str,
    admin: bool,
    password_stdin: bool,
    grants: tuple[str, ...],
    groups: tuple[str, ...],
    server: str,
) -> None:
    """Create a user.

    \b
      trustgate user create alice --grant shop=pull,push
    """
    secret = _new_password(password_stdin)
    body = {"name": name, "password": secret, "admin": admin, "grants": list(grants), "groups": list(groups)}
    _api(server).post("/api/v1/users", body)
    note(f"created user {name}")


@user.command("ls", epilog=EXIT_CODES)
@server_option
@output_option
def user_ls(server: str, output: str) -> None:
    """List users.

    \b
      trustgate user ls
    """
    _list("users", server, output)


@user.command("delete", epilog=EXIT_CODES)
@click.argument("name")
@server_option
def user_delete(name: str, server: str) -> None:
    """Delete a user.

    \b
      trustgate user delete alice
    """
    _delete(name, server)


@user.command("password", epilog=EXIT_CODES)
@click.argument("name")
@password_stdin_option
@server_option
def user_password(name: str, password_stdin: bool, server: str) -> None:
    """Set a user's password.

    \b
      trustgate user password alice
    """
    from trustgate.cli.server import segment

    secret = _new_password(password_stdin)
    _api(server).patch(f"/api/v1/accounts/{segment(name)}", {"password": secret})
    note(f"set the password of {name}")


@click.group(epilog=EXIT_CODES)
def robot() -> None:
    """Manage robots: accounts for machines, with a secret that expires.

    \b
      trustgate robot create ci --grant shop=pull,push --days 90
      trustgate robot ls
    """


@robot.command("create", epilog=EXIT_CODES)
@click.argument("name")
@click.option("--days", default=90, show_default=True, help="Days until the secret expires.")
@click.option("--description", default="", help="What it is for, in your own words.")
@_grant
@_group
@server_option
@output_option
def robot_create(
    name: str,
    days: int,
    description: str,
    grants: tuple[str, ...],
    groups: tuple[str, ...],
    server: str,
    output: str,
) -> None:
    """Create a robot and print its secret, this once.

    \b
      trustgate robot create prod --grant shop=pull
    """
    body = {
        "name": name,
        "days": days,
        "description": description,
        "grants": list(grants),
        "groups": list(groups),
    }
    made = _api(server).post("/api/v1/robots", body)
    if output == "json":
        emit_json("robot/1", made)
        return
    note(f"created {made['name']}, valid until {made['expires_at'][:10]}; the secret is shown this once:")
    click.echo(made["secret"])


@robot.command("ls", epilog=EXIT_CODES)
@server_option
@output_option
def robot_ls(server: str, output: str) -> None:
    """List robots.

    \b
      trustgate robot ls
    """
    _list("robots", server, output)


@robot.command("delete", epilog=EXIT_CODES)
@click.argument("name")
@server_option
def robot_delete(name: str, server: str) -> None:
    """Delete a robot; its tokens end with it.

    \b
      trustgate robot delete prod
    """
    _delete(name if name.startswith("robot$") else f"robot${name}", server)


@click.group(epilog=EXIT_CODES)
def project() -> None:
    """Manage projects: the first part of a repository's name.

    \b
      trustgate project create shop --public
      trustgate project ls
    """


@project.command("create", epilog=EXIT_CODES)
@click.argument("name")
@click.option("--public/--private", default=False, help="Whether anybody may pull.")
@server_option
def project_create(name: str, public: bool, server: str) -> None:
    """Create a project, or change whether it is public.

    \b
      trustgate project create shop --public
    """
    from trustgate.cli.server import segment

    _api(server).put(f"/api/v1/projects/{segment(name)}", {"public": public})
    note(f"project {name} is {'public' if public else 'private'}")


@project.command("ls", epilog=EXIT_CODES)
@server_option
@output_option
def project_ls(server: str, output: str) -> None:
    """List projects.

    \b
      trustgate project ls
    """
    items = _api(server).get("/api/v1/projects")["items"]
    if output == "json":
        emit_json("projects/1", {"items": items})
        return
    table(["NAME", "ACCESS"], [[i["name"], "public" if i["public"] else "private"] for i in items])
