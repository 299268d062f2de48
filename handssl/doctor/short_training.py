"""Ten steps of pretraining as a check; imported only in a separate process."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from handssl.data.config import ProceduralData
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.distributed.local_ranks import spawn_ranks
from handssl.errors import DataError, DivergedError
from handssl.training import Execution, PretrainConfig, Pretraining

STEPS = 10
_BATCH = 16
_DATA = {"pretrain": STEPS * _BATCH, "probe": 16, "select": 16, "test": 16}


def run(rounds: int) -> dict[str, Any]:
    """Pretrain for ten steps, once or several times.

    Args:
        rounds: Number of repetitions.

    Returns:
        Loss and speed (views/s) of the last round, the device, and the digest of each round's
        weights.

    Raises:
        DivergedError: A loss is not finite.
    """
    with tempfile.TemporaryDirectory(prefix="handssl-doctor-") as folder:
        described = ProceduralData.parse({**_DATA, "image_px": 84, "crop_px": 84})
        data = prepare(described, Path(folder), workers=1)
        results = [_round(data) for _ in range(rounds)]
    return results[-1] | {"digests": [result["digest"] for result in results]}


def _round(data: Path) -> dict[str, Any]:
    training = Pretraining(_config(), StudyData(data), Execution())
    metrics = training.train_epoch(1)
    if training.steps_made != STEPS or not math.isfinite(metrics["train/loss"]):
        raise DivergedError(f"{training.steps_made} steps gave the loss {metrics['train/loss']}")
    return {
        "loss": metrics["train/loss"],
        "views_per_s": metrics["train/views_per_s"],
        "device": str(training.device),
        "digest": _digest(training.network.state_dict()),
    }


def _config() -> PretrainConfig:
    return PretrainConfig.parse(
        {
            "composition": ["color_jitter", "rotate"],
            "objective": "contrastive",
            "epochs": 1,
            "global_batch": _BATCH,
            "encoder": {"width": 16, "input_px": 48},
            "heads": {"projection_hidden": 64, "projection_out": 32},
            "optimizer": {"warmup_epochs": 0},
        }
    )


def _digest(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


_EXPECTED = 3.0


def summed(backend: str, timeout_s: float) -> dict[str, Any]:
    """Sum 1 and 2 over two processes.

    Args:
        backend: gloo or nccl.
        timeout_s: Timeout of the whole call, seconds.

    Raises:
        RanksError: A process failed or did not finish in time.
        DataError: A sum is wrong.
    """
    start_s = time.perf_counter()
    sums = spawn_ranks(own_share, 2, backend, backend=backend, timeout_s=timeout_s)
    if sums != [_EXPECTED, _EXPECTED]:
        raise DataError(f"expected the sum {_EXPECTED:g} in both processes, found {sums}")
    return {"seconds": time.perf_counter() - start_s}


def own_share(backend: str) -> float:
    """Return the sum over ranks of rank + 1."""
    import torch

    from handssl.distributed import rank, sum_over_ranks

    device = torch.device("cuda", rank()) if backend == "nccl" else torch.device("cpu")
    return float(sum_over_ranks(torch.tensor([rank() + 1.0], device=device)))
