"""What the checks are told: where results go, which servers are meant, and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What is checked.

    Attributes:
        storage: Root of all results; need not exist.
        tracking_uri: MLflow store.
        ray_address: Of a cluster; None: whether one can be started here.
        quick: Leave out what only repeats.
        shm: Folder of the shared memory.
        mounts: The system's table of mounts.
        ray_timeout_s: For a Ray to answer, or to start and answer.
        mlflow_timeout_s: For MLflow to answer and to be written.
        torch_timeout_s: For torch to be imported and asked.
        ranks_timeout_s: For two processes to sum a number.
        steps_timeout_s: For ten steps, or twice ten.
    """

    storage: Path
    tracking_uri: str
    ray_address: str | None = None
    quick: bool = False
    shm: Path = Path("/dev/shm")  # noqa: S108  (looked at, not used for files)
    mounts: Path = Path("/proc/self/mountinfo")
    ray_timeout_s: float = 90.0
    mlflow_timeout_s: float = 90.0
    torch_timeout_s: float = 90.0
    ranks_timeout_s: float = 60.0
    steps_timeout_s: float = 240.0
