"""One round: a fault at a random moment of a sweep, and what has become of the sweep."""

from __future__ import annotations

import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.kinds import KINDS, Place, Scene
from tests.faults.sweep import TEMPORARY, HungError, Sweep, Table, mlflow_repeats

MAX_COMMANDS = 4


@dataclass(frozen=True)
class Round:
    """What a round has found.

    Attributes:
        kind: Of the fault.
        after_epochs: Epochs of all trials before it.
        delay_s: Between the last of these and the fault.
        seconds: From the start of the first command to the end of the last.
        exit_codes: Of the commands, in order of their start.
        longest_wait_s: Longest time without an epoch or an outcome after the fault.
        lost: Trials that have failed or have no outcome.
        repeated: Finished trials that were run again, and runs or steps that MLflow has twice.
        same_table: Whether every number is that of the undisturbed sweep.
        left: Processes that had to be killed at the end.
        error: Why the sweep did not end, empty if it did.
        missed: The sweep was over before the fault, so that the round shows nothing.
    """

    kind: str
    after_epochs: int
    delay_s: float
    seconds: float
    exit_codes: str
    longest_wait_s: float
    lost: int
    repeated: int
    same_table: bool
    left: int
    error: str
    missed: bool

    @property
    def failed(self) -> bool:
        """Whether anything is not as it is without the fault."""
        return bool(self.lost or self.repeated or self.left or self.error or not self.same_table)


def undisturbed() -> Table:
    """Run the sweep without a fault; return what it records."""
    with tempfile.TemporaryDirectory(prefix="hs-") as folder:
        sweep = Sweep(Path(folder).resolve() / "w")
        command = sweep.start()
        try:
            sweep.until(lambda: command.poll() is not None, "its end")
        except HungError:
            sweep.kill()
            raise
        assert command.returncode == 0, sweep.log()
        assert sweep.close() == [], "processes are left"
        return sweep.table()


def play(kind: str, seed: str, expected: Table) -> tuple[Round, str]:
    """Play one round.

    Args:
        kind: One of KINDS.
        seed: Of the moment.
        expected: The undisturbed table.

    Returns:
        What was found, and the logs of all commands.
    """
    with (
        tempfile.TemporaryDirectory(prefix="hs-") as folder,
        KINDS[kind](Path(folder).resolve() / "w") as place,
    ):
        return _play(kind, random.Random(seed), expected, place), place.sweep.log()


def _play(kind: str, draw: random.Random, expected: Table, place: Place) -> Round:
    sweep, began_s = place.sweep, time.monotonic()
    moment = draw.randint(1, sum(row[1] for row in expected.values()) // 2)
    delay_s, waited_s, error, files = draw.uniform(0, 1), 0.0, "", dict[str, int]()
    scene = Scene(sweep, sweep.start(), draw, place.mlflow)
    try:
        sweep.until(lambda: _has_begun(scene, moment), f"{moment} epochs")
        time.sleep(delay_s)  # the moment within an epoch is what is random
        files = sweep.finished_files()
        place.harm(scene)
        waited_s = _finish(scene)
    except HungError as hung:
        error = str(hung)
        sweep.kill()
    left = sweep.close()
    table, now = sweep.table(), sweep.finished_files()
    again = sum(now.get(name) != time_ns for name, time_ns in files.items())
    return Round(
        kind=kind,
        after_epochs=moment,
        delay_s=round(delay_s, 2),
        seconds=round(time.monotonic() - began_s, 1),
        exit_codes=" ".join(str(command.returncode) for command in sweep.commands),
        longest_wait_s=round(waited_s, 1),
        lost=sum(table.get(name, ("",))[0] in ("", "failed", "running") for name in expected),
        repeated=again + mlflow_repeats(place.mlflow),
        same_table=table == expected,
        left=len(left),
        error=error or _wrong_codes(scene),
        missed=scene.missed,
    )


def _has_begun(scene: Scene, moment: int) -> bool:
    return scene.sweep.epochs() >= moment or scene.command.poll() is not None


def _finish(scene: Scene) -> float:
    """Repeat the command, as its exit code asks for, until it ends with another."""
    waited_s = 0.0
    while True:
        command = scene.command
        waited_s = max(
            waited_s,
            scene.sweep.until(lambda: command.poll() is not None, "the end"),  # noqa: B023
        )
        again = command.returncode in TEMPORARY or command.returncode < 0
        if not again or len(scene.sweep.commands) >= MAX_COMMANDS:
            break
        scene.command = scene.sweep.start()
    for other in scene.others:
        waited_s = max(waited_s, scene.sweep.until(lambda: other.poll() is not None, "the first"))  # noqa: B023
    return waited_s


def _wrong_codes(scene: Scene) -> str:
    if scene.command.returncode != 0:
        return f"the last command ended with {scene.command.returncode}"
    codes = [other.returncode for other in scene.others if other.returncode not in TEMPORARY]
    return f"a command that was taken over ended with {codes[0]}" if codes else ""
