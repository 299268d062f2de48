"""One side of the sweep benchmark, in a separate process for a separate memory measurement.

python -m handssl.bench.sweep_sides ours FOLDER BLOCKS
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from handssl.bench import empty
from handssl.execution.cluster.local_ray import OBJECT_STORE_BYTES
from handssl.execution.study_runner import run
from handssl.planning.resources import available_cpus
from handssl.runtime.sqlite_url import sqlite_url

DATA = {"pretrain": 16, "probe": 16, "select": 16, "test": 16, "image_px": 64, "crop_px": 64}


def main(side: str, folder: Path, blocks: int, factors: int) -> None:
    """Run all trials of one side; print seconds, memory and outcomes as JSON."""
    ray.init(
        address="local",
        num_cpus=available_cpus(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env={"worker_process_setup_hook": empty.HOOK},
    )
    uri = sqlite_url(folder / "mlflow.db")
    mlflow.MlflowClient(uri).search_experiments()  # creates the tables before the measurement
    seconds, trials = {"ours": _ours, "tune": _tune}[side](folder, uri, blocks, factors)
    ray.shutdown()
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"seconds": seconds, "trials": trials, "peak_bytes": peak_kb * 1024}
    sys.stdout.write(json.dumps(found) + "\n")


def _ours(folder: Path, uri: str, blocks: int, factors: int) -> tuple[float, int]:
    from handssl.data.preparation import prepare

    study = empty.study(blocks, DATA, factors)
    prepare(study.data, folder, workers=1)
    start_s = time.perf_counter()
    result = run(study, storage=folder, tracking_uri=uri)
    seconds = time.perf_counter() - start_s
    return seconds, sum(r.outcome in ("completed", "stopped") for r in result.records)


class _Empty(tune.Trainable):  # type: ignore[misc]
    """The same epochs as a typical Ray Tune trainable."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        # Tune counts the steps of a trial, also in a reused actor.
        epoch = self.training_iteration + 1
        found: dict[str, Any] = empty.metrics(self.config["cell"], self.config["block"], epoch)
        return found | {"done": epoch >= empty.EPOCHS}


def _tune(folder: Path, uri: str, blocks: int, factors: int) -> tuple[float, int]:
    cells = [cell.label for cell in empty.study(blocks, DATA, factors).all_stages[0].cells({})]
    space = {
        "cell": tune.grid_search(cells),
        "block": tune.grid_search(list(range(1, blocks + 1))),
    }
    start_s = time.perf_counter()
    found = tune.Tuner(
        tune.with_resources(_Empty, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[MLflowLoggerCallback(tracking_uri=uri, experiment_name="tune")],
        ),
    ).fit()
    return time.perf_counter() - start_s, len(found) - found.num_errors


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
