"""Settings of the checks: storage, servers and timeouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of the checks; timeouts are in seconds.

    Attributes:
        storage: Root of all results; need not exist.
        tracking_uri: URI of the MLflow store.
        ray_address: Address of a Ray cluster; None: check that a local Ray can be started.
        quick: Run the ten steps once instead of twice.
        shm: Folder of the shared memory.
        mounts: The system's table of mounts.
        ray_timeout_s: Timeout for Ray to answer, or to start and answer.
        mlflow_timeout_s: Timeout for MLflow to answer and to be written.
        torch_timeout_s: Timeout for importing and querying torch.
        ranks_timeout_s: Timeout for two processes to sum a number.
        steps_timeout_s: Timeout for ten steps, or twice ten.
    """

    storage: Path
    tracking_uri: str
    ray_address: str | None = None
    quick: bool = False
    shm: Path = Path("/dev/shm")  # noqa: S108  (inspected, not used for files)
    mounts: Path = Path("/proc/self/mountinfo")
    ray_timeout_s: float = 90.0
    mlflow_timeout_s: float = 90.0
    torch_timeout_s: float = 90.0
    ranks_timeout_s: float = 60.0
    steps_timeout_s: float = 240.0
