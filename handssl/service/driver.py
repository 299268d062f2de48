"""How an attempt is started: the study as a file, and the command line of its driver."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from handssl.secrets import SERVICE_ONLY
from handssl.service.credentials import mlflow_export
from handssl.service.job import How, Job

PATIENCE_S = 120.0  # longer than the claims of a driver that is gone


@dataclass(frozen=True)
class Home:
    """Where jobs keep what belongs to them.

    Attributes:
        storage: Folder of the results, which the head node sees.
        mlflow: Returns where MLflow is now, without any password.
        python: The interpreter on the head.
        secrets: Folder with the password of our own MLflow; None where it is another's.
    """

    storage: Path
    mlflow: Callable[[], str]
    python: str = sys.executable
    secrets: Path | None = None

    @property
    def tracking_uri(self) -> str:
        """Where MLflow is now."""
        return self.mlflow()

    def folder(self, job: str) -> Path:
        """Return the folder of a job."""
        return self.storage / "jobs" / job

    def log(self, job: str) -> Path:
        """Return the file that all attempts of a job write to."""
        return self.folder(job) / "log.txt"

    def outcome(self, job: str, attempt: int) -> Path:
        """Return the file in which the driver of an attempt says how it has ended."""
        return self.folder(job) / f"outcome.{attempt}.json"

    def was_begun(self, job: str) -> bool:
        """Say whether an attempt of a job may have been started, ever."""
        return (self.folder(job) / "study.yaml").exists()

    def write(self, job: Job, document: Mapping[str, Any]) -> str:
        """Write the study, and return the command that runs it.

        Args:
            job: With its attempt.
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
        words += _options(How.parse(document["how"]))
        outcome = self.outcome(job.id, job.attempt)
        outcome.unlink(missing_ok=True)
        words += ["--outcome", str(outcome)]
        # Of a failed disk or the like the driver's own last words are in Ray's log.
        known = mlflow_export(self.secrets) if self.secrets else ""
        log = shlex.quote(str(self.log(job.id)))
        return f"{self._unset()}{known}exec {shlex.join(words)} >>{log} 2>&1"

    def _unset(self) -> str:
        """Return shell words that take from a driver the secrets of its Ray that it needs not."""
        words = f"unset {' '.join(SERVICE_ONLY)}; "
        if self.tracking_uri.startswith("postgres"):
            return words
        return words + 'case "$HANDSSL_LEDGER" in postgres*) ;; *) unset PGPASSWORD ;; esac; '


def _options(how: How) -> list[str]:
    found = []
    for name, value in how.model_dump(exclude_none=True).items():
        flag = {"silence_s": "--silence"}.get(name, "--" + name.replace("_", "-"))
        found += [flag, str(value)]
    return found
