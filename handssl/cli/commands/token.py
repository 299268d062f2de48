"""`handssl token`: access tokens of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.cli.options import Group, storage_option
from handssl.cli.queue_options import database_option, database_url, existing_database_url
from handssl.runtime.private_files import new_secret

if TYPE_CHECKING:
    from handssl.service.queue.tokens import Tokens


@click.group(cls=Group)
def token() -> None:
    """Create and revoke access tokens of the service (on the head)."""


@token.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "submitter"]),
    default="viewer",
    show_default=True,
    help="A viewer may read; a submitter may also submit jobs and control their own.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this new file, which no other user can read, instead of printing it.",
)
@storage_option
@database_option
def create_token(
    name: str, role: str, output: Path | None, storage: Path | None, database: str | None
) -> None:
    """Create a token for NAME and print it; it cannot be shown again.

    \b
    Example:
      handssl token create ada --role submitter --storage /shared/runs
      handssl token create prometheus --output /etc/prometheus/handssl_token
      export HANDSSL_TOKEN=...   # on ada's machine
    """  # noqa: D301  (click's mark for a block it must not wrap)
    known = _tokens(database_url(database, storage))
    if output is None:
        click.echo(known.create(name, role))
        return
    with new_secret(output) as write:
        write(known.create(name, role))
    click.echo(f"{name}: the token is in {output}")


@token.command("list")
@storage_option
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_tokens(storage: Path | None, database: str | None, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    found = _tokens(existing_database_url(database, storage)).all()
    if as_json:
        click.echo(json.dumps([vars(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(f"{one.name}\t{one.role}\t{'revoked' if one.revoked_s else 'valid'}")


@token.command("revoke")
@click.argument("name")
@storage_option
@database_option
def revoke_token(name: str, storage: Path | None, database: str | None) -> None:
    """Revoke the token of NAME, with immediate effect."""
    _tokens(existing_database_url(database, storage)).revoke(name)
    click.echo(f"{name}: revoked")


def _tokens(url: str) -> Tokens:
    from handssl.service.queue.queue import Queue
    from handssl.service.queue.tokens import Tokens

    return Tokens(Queue(url).database)
