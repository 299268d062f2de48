"""`handssl jobs drain` and `backup`: commands for the machine with the queue's database."""

from __future__ import annotations

from pathlib import Path

import click

from handssl.cli.commands.jobs import jobs
from handssl.cli.options import storage_option
from handssl.cli.queue_options import database_option, existing_database_url


@jobs.command("drain")
@click.option("--off", is_flag=True, help="Start jobs again.")
@click.option("--wait", "waits", is_flag=True, help="Wait until no job runs.")
@storage_option
@database_option
def drain(off: bool, waits: bool, storage: Path | None, database: str | None) -> None:
    """Stop starting jobs, for example before an upgrade (on the head); running jobs finish."""
    import time

    from handssl.service.queue.admission import set_draining
    from handssl.service.queue.queue import Queue

    queue = Queue(existing_database_url(database, storage))
    set_draining(queue.database, not off)
    while waits and (left := sum(n for (_, s), n in queue.depth().items() if s == "running")):
        click.echo(f"{left} running", err=True)
        time.sleep(2.0)
    click.echo("jobs are started again" if off else "draining: nothing new is started")


@jobs.command("backup")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@storage_option
@database_option
def back_up(folder: Path, storage: Path | None, database: str | None) -> None:
    """Copy queue, ledger and MLflow's runs to FOLDER while all are in use (on the head).

    \b
    Example:
      handssl jobs backup /backup/$(date +%F)
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.execution.storage import resolve_storage
    from handssl.service.queue.backup import backup

    url = existing_database_url(database, storage)
    for copy in backup(folder, storage=resolve_storage(storage), database=url):
        click.echo(str(copy))
