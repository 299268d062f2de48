"""Pretrain on a cluster and tell every event in a line: the driver that fault tests kill.

Run as a program it is the driver; the class is what a test holds of it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.ledger import Ledger

if TYPE_CHECKING:
    from tests.execution.clusters import LocalCluster


RUN = """
name: together
data: {{pretrain: 96, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}}
pretrain:
  composition: [rotate]
  objective: relative
  epochs: {epochs}
  global_batch: 16
  encoder: {{width: 8, input_px: 32}}
  heads: {{projection_hidden: 8, projection_out: 8, relative_hidden: 8}}
  optimizer: {{warmup_epochs: 1}}
"""
_PROGRESS, _EPOCHS = ("StepEnded", "EpochEnded"), ("Started", "EpochEnded")


class Driver:
    """One `pretrain` on a cluster, whose events come as lines; killed where the block ends."""

    def __init__(self, cluster: LocalCluster, run: Path, storage: Path, **options: object) -> None:
        self.events: list[dict] = []
        self._cluster, self._errors = cluster, cluster.folder / "errors.txt"
        options = {"run": str(run), "storage": str(storage), "address": cluster.address} | options
        self.process = cluster.start([__file__, json.dumps(options)])

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self._cluster.end(self.process)

    def until(self, wanted: Callable[[dict], bool]) -> dict:
        """Read events up to one that is wanted."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if wanted(self.events[-1]):
                return self.events[-1]
        said = [e for e in self.events if e["event"] not in ("StepEnded", "Preparing")]
        raise AssertionError(
            f"ended with {self.process.wait()} after {said}\n{self._errors.read_text()[-4000:]}"
        )

    @property
    def epoch(self) -> int:
        """The last epoch that was told of, or that an earlier run had made."""
        return max((e["epoch"] for e in self.events if e["event"] in _EPOCHS), default=0)

    def steps(self, steps_per_epoch: int) -> int:
        """Return the steps that were told of, those of whole epochs included."""
        last = next((e for e in reversed(self.events) if e["event"] in _PROGRESS), None)
        if last is None or last["event"] == "EpochEnded":
            return self.epoch * steps_per_epoch
        return self.epoch * steps_per_epoch + last["done"]

    def until_step(self, epoch: int, step: int) -> dict:
        """Read up to a step of the epoch that follows `epoch` finished ones."""
        self.until(lambda e: e["event"] == "EpochEnded" and e["epoch"] >= epoch)
        return self.until(lambda e: e["event"] == "StepEnded" and e["done"] >= step)

    def finish(self) -> dict:
        """Read to the end; return the last event, `Done`."""
        done = self.until(lambda e: e["event"] == "Done")
        self.process.wait()
        return done


def together(epochs: int) -> str:
    """Return the configuration of a run of six steps an epoch, for two workers."""
    return RUN.format(epochs=epochs)


def folder_of(storage: Path) -> Path:
    """Return the folder of the only trial."""
    (record,) = Ledger(storage).all()
    return storage / "trials" / record.trial_id


def history(storage: Path) -> list[dict[str, float]]:
    """Return the metrics of every epoch of the only trial, without timings."""
    return [
        {name: value for name, value in row.metrics.items() if not name.endswith("_s")}
        for row in Ledger(storage).history(folder_of(storage).name)
    ]


def mlflow_steps(storage: Path) -> list[int]:
    """Return the steps of the primary measure, as often as they were written."""
    with contextlib.closing(sqlite3.connect(storage / "mlflow.db")) as base:
        return [s for (s,) in base.execute("select step from metrics where key = 'median_mm'")]


def is_notice(event: dict) -> bool:
    """Say whether an event tells of workers that go on after a fault."""
    return event["event"] == "WorkerEvent" and not is_copy(event)


def is_copy(event: dict) -> bool:
    """Say whether an event tells of data that were copied to a node."""
    return event["event"] == "WorkerEvent" and event["text"].startswith("copied ")


def tell(event: Any) -> None:
    known = {name: getattr(event, name, None) for name in ("epoch", "done", "text")}
    again = getattr(event, "replayed_steps", 0)
    print(json.dumps({"event": type(event).__name__, "again": again, **known}), flush=True)


def main(options: dict[str, Any]) -> None:
    from handssl.execution.single_run import pretrain
    from handssl.study.events import Tick
    from handssl.study.run_config import RunConfig
    from handssl.training import Execution

    workers = options["workers"]
    result = pretrain(
        RunConfig.load(Path(options["run"])),
        storage=Path(options["storage"]),
        workers=tuple(workers) if isinstance(workers, list) else workers,
        address=options["address"],
        execution=Execution(precision=options.get("precision", "float32"), device="cpu"),
        on_event=lambda event: None if isinstance(event, Tick) else tell(event),
    )
    outcome = [record.outcome for record in result.records]
    end = {"event": "Done", "outcome": outcome, "interrupted": result.interrupted}
    print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
