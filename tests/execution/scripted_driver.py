"""A driver of a sweep in a process of its own, which tests kill: tells every event in a line.

Arguments as JSON: study, storage, data (a packed store), script (without it trials train for real).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
# Processes of Ray's own that hold no trial and take a minute to see that they are alone: two
# agents, by the title they give themselves or the command line they have until then, and workers
# that were still starting.
_IDLE = (
    "ray::DashboardAgent",
    "ray::RuntimeEnvAgent",
    "dashboard/agent.py",
    "agent/main.py",
    "workers/default_worker.py",
)


class Sweeper:
    """A driver, and every event it has told of."""

    def __init__(
        self,
        study: dict[str, Any],
        storage: Path,
        data: Path,
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        **options: Any,
    ) -> None:
        told = {"study": study, "storage": str(storage), "data": str(data)} | options
        storage.mkdir(parents=True, exist_ok=True)
        self._errors = (storage / "errors.txt").open("a+")
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), json.dumps(told)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=(env or os.environ) | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
            cwd=cwd,
        )

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read events up to one that is wanted."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if wanted(self.events[-1]):
                return self.events[-1]
        self._errors.seek(0)
        raise AssertionError(f"ended with {self.process.wait()}: {self._errors.read()[-4000:]}")

    def finish(self) -> dict[str, Any]:
        """Read to the end; return the last event."""
        done = self.until(lambda event: event["event"] == "Done")
        self.process.wait(60)
        return done

    def kill(self) -> None:
        """SIGKILL, and wait until what it had started has seen that and is gone.

        Idle processes of Ray's own are not waited for, they are ended here.
        """
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait(60)
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            if any(name in _title(process) for name in _IDLE):
                process.kill()
        _, alive = psutil.wait_procs(alive, timeout=20)
        left = [_title(process) for process in alive]
        assert left == [], f"still there: {left}"

    def close(self) -> None:
        """End it if it still runs, and close its pipes."""
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()
        self._errors.close()


@contextmanager
def sweeper(*arguments: Any, **options: Any) -> Iterator[Sweeper]:
    """Start a driver and end it."""
    driver = Sweeper(*arguments, **options)
    try:
        yield driver
    finally:
        driver.close()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def tell(event: str, **values: Any) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def main(told: dict[str, Any]) -> None:
    from handssl.execution import study_runner
    from handssl.execution.datasets import resolver
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.study.events import Tick
    from handssl.study.study import Study

    def on_event(event: Any) -> None:
        if not isinstance(event, Tick):
            trial = getattr(event, "trial", None)
            name = trial.trial_id if trial is not None else None
            text = {"text": event.text} if hasattr(event, "text") else {}
            tell(type(event).__name__, trial=name, epoch=getattr(event, "epoch", None), **text)

    resolver.prepare = lambda *_, **__: Path(told["data"])
    with ray_of(told):
        result = study_runner.run(
            Study.parse(told["study"]),
            storage=Path(told["storage"]),
            tracking_uri=told.get("tracking_uri"),
            options=ExecutionOptions.parse(told.get("options", {})),
            on_event=on_event,
        )
    tell("Done", outcomes=[record.outcome for record in result.records])


def ray_of(told: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    if "script" not in told:
        return contextlib.nullcontext()
    from tests.execution.scripted import scripted_ray

    script = Path(told["script"])
    if address := told.get("address"):
        return joined(address, script)
    return scripted_ray(script, json.loads(script.read_text()), cpus=told.get("cpus", 2))


@contextmanager
def joined(address: str, script: Path) -> Iterator[None]:
    """Connect to a Ray that somebody else has started, whose trials follow a script."""
    import ray

    from tests.execution.scripted import environment

    ray.init(address=address, runtime_env=environment(script), log_to_driver=False)
    yield
    ray.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
