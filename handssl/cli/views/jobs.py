"""Text views of jobs in a terminal."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urljoin

from rich.table import Table

from handssl.cli.views.terminal import plain_table
from handssl.service.web.formatting import ago, date, duration, millimetres


def table(jobs: list[dict[str, Any]]) -> Table:
    """Return the table of a list of jobs."""
    found = plain_table()
    for name in ("job", "study", "state", "user", "queue"):
        found.add_column(name, no_wrap=name == "job", overflow="fold")
    found.add_column("priority", justify="right", no_wrap=True)
    found.add_column("submitted", no_wrap=True)
    now_s = time.time()
    for job in jobs:
        place = f", place {job['position']}" if job["position"] else ""
        wanted = f", asked to {job['wanted']}" if job["wanted"] else ""
        words = (job["id"], job["study"], job["state"] + place + wanted, job["user"], job["queue"])
        found.add_row(*words, str(job["priority"]), ago(job["submitted_s"], now_s))
    return found


def lines(detail: dict[str, Any], service: str) -> list[str]:
    """Return the lines that describe one job.

    Args:
        detail: The service's document on the job.
        service: URL of the service, for its own links, which begin with `/`.
    """
    job, progress = detail["job"], detail["progress"]
    said = [f"{job['study']} ({job['id']}): {job['state']}"]
    if job["message"]:
        said.append(f"  {job['message']}")
    if job["position"]:
        said.append(f"  place {job['position']} of queue {job['queue']}")
    said.append(f"  submitted {date(job['submitted_s'])} by {job['user']}")
    said += [f"  {line}" for line in _progress(job, progress)]
    said += [f"  {name}: {urljoin(service, url)}" for name, url in detail["links"].items()]
    said += ["history:"]
    said += [f"  {date(one['time_s'])} {_moment(one)}" for one in detail["history"]]
    return said


def _progress(job: dict[str, Any], progress: dict[str, Any]) -> list[str]:
    if not progress["total"]:
        return []
    left = progress["left_s"] if job["state"] == "running" else None
    rest = f", {duration(left)} left at most" if left is not None else ""
    found = [f"{progress['done']} of {progress['total']} trials done{rest}"]
    if progress["median_mm"] is not None:
        found.append(
            f"best so far: {progress['best_cell']}, median {millimetres(progress['median_mm'])}, "
            f"MPJE {millimetres(progress['mpje_mm'])}"
        )
    return found


def _moment(moment: dict[str, Any]) -> str:
    said = moment["message"]
    return str(moment["state"]) + (f": {said}" if said and said != moment["state"] else "")
