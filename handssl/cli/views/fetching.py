"""Downloads of a job's result, report and weights into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from handssl.cli.views.job_wait import notify
from handssl.cli.views.terminal import progress_bar
from handssl.errors import InputError
from handssl.service.client.download import download
from handssl.service.client.remote_job import Job
from handssl.service.job_result import SUFFIXES, FormatName, JobResult


class Fetched(NamedTuple):
    """What was downloaded, and the file it is in."""

    what: str
    path: Path


def fetch(
    job: Job, what: tuple[str, ...], folder: Path, *, form: FormatName, trial: str, quiet: bool
) -> Iterator[Fetched]:
    """Download results of a job, and yield each when it is there.

    Args:
        job: The job.
        what: `result`, `report` or `weights`, each at most once.
        folder: Folder of the files, created if missing.
        form: Format of the report.
        trial: Id of the trial whose weights are meant, or its start; empty: the best.
        quiet: No live progress.

    Raises:
        InputError: Nothing of the study has been run yet, or it has no weights.
    """
    result = job.result()
    files: dict[str, Callable[[], tuple[str, dict[str, str]]]] = {
        "result": lambda: (f"{result.study}.json", {}),
        "report": lambda: (result.study + SUFFIXES[form], {"format": form}),
        "weights": lambda: _weights(result, trial),
    }
    for one in what:
        name, asked = files[one]()
        with progress_bar(f"{one} (bytes)", quiet=quiet) as on_progress:
            path = download(
                job.client,
                f"/jobs/{job.id}/{one}",
                folder / name,
                asked=asked,
                on_progress=on_progress,
                notify=notify,
            )
        yield Fetched(one, path)


def _weights(result: JobResult, trial: str) -> tuple[str, dict[str, str]]:
    """Return the name of the file and the whole id, so that a later call continues the same."""
    known = {one.trial_id for one in result.trials if one.has_weights}
    named = trial or (result.best.trial_id if result.best else "")
    found = [one for one in sorted(known) if named and one.startswith(named)]
    if len(found) == 1:
        return f"{result.study}-{found[0][:12]}.safetensors", {"trial": found[0]}
    if not trial:
        raise InputError(
            f"study {result.study}: expected a completed pretraining, found none yet; fetch "
            "the weights when the job has ended"
        )
    raise InputError(
        f"--trial {trial}: expected the start of the id of one completed trial of study "
        f"{result.study} with weights, found {len(found)}; --what result lists them"
    )
