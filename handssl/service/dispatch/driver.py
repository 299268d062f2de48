"""Start of an attempt: the study as a file, and the command line of its driver."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from handssl.runtime.secrets import SERVICE_ONLY
from handssl.service.credentials import mlflow_export
from handssl.service.queue.job import Job, JobOptions

PATIENCE_S = 120.0  # longer than the claims of a driver that was killed

# Options of jobs that were queued before these were renamed.
_EARLIER = {"at_once": "max_concurrent_trials", "silence_s": "hang_timeout_s"}


@dataclass(frozen=True)
class JobWorkspace:
    """Files and settings that jobs use on the head node.

    Attributes:
        storage: Folder of the results, visible from the head node.
        mlflow: Returns the current URI of MLflow, without password.
        python: The Python interpreter on the head.
        secrets: Folder with the password of the service's own MLflow; None if MLflow is external.
    """

    storage: Path
    mlflow: Callable[[], str]
    python: str = sys.executable
    secrets: Path | None = None

    @property
    def tracking_uri(self) -> str:
        """Current URI of MLflow."""
        return self.mlflow()

    def folder(self, job: str) -> Path:
        """Return the folder of a job."""
        return self.storage / "jobs" / job

    def log(self, job: str) -> Path:
        """Return the file that all attempts of a job write to."""
        return self.folder(job) / "log.txt"

    def outcome(self, job: str, attempt: int) -> Path:
        """Return the file in which the driver of an attempt writes its outcome."""
        return self.folder(job) / f"outcome.{attempt}.json"

    def was_begun(self, job: str) -> bool:
        """Return whether any attempt of a job may have been started."""
        return (self.folder(job) / "study.yaml").exists()

    def write(self, job: Job, document: Mapping[str, Any]) -> str:
        """Write the study to a file, and return the shell command that runs it.

        Args:
            job: The job, with its attempt.
            document: Its `study` and `how`.
        """
        folder = self.folder(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"study.{job.attempt}.yaml"
        new.write_text(yaml.safe_dump(document["study"], sort_keys=False))
        new.rename(folder / "study.yaml")
        words = [self.python, "-m", "handssl.cli", "study", "run", str(folder / "study.yaml")]
        words += ["--storage", str(self.storage), "--tracking-uri", self.tracking_uri]
        words += ["--address", "auto", "--patience", str(PATIENCE_S)]
        given = {_EARLIER.get(name, name): value for name, value in document["how"].items()}
        words += _options(JobOptions.parse(given))
        outcome = self.outcome(job.id, job.attempt)
        outcome.unlink(missing_ok=True)
        words += ["--outcome", str(outcome)]
        # If the log cannot be written, e.g. on a failed disk, the error is in Ray's log.
        known = mlflow_export(self.secrets) if self.secrets else ""
        log = shlex.quote(str(self.log(job.id)))
        return f"{self._unset()}{known}exec {shlex.join(words)} >>{log} 2>&1"

    def _unset(self) -> str:
        """Return a shell command that unsets secrets of the Ray head a driver does not need."""
        words = f"unset {' '.join(SERVICE_ONLY)}; "
        if self.tracking_uri.startswith("postgres"):
            return words
        return words + 'case "$HANDSSL_LEDGER" in postgres*) ;; *) unset PGPASSWORD ;; esac; '


def _options(how: JobOptions) -> list[str]:
    found = []
    for name, value in how.model_dump(exclude_none=True).items():
        flag = {"hang_timeout_s": "--hang-timeout"}.get(name, "--" + name.replace("_", "-"))
        found += [flag, str(value)]
    return found
