"""Requests to a study, running or not: pause, resume, cancel, extend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handssl.config import nearest
from handssl.errors import InputError
from handssl.execution.status import StudyStatus, status
from handssl.execution.storage import resolve_storage
from handssl.ledger import Ledger, has_results
from handssl.ledger.log import Asked
from handssl.study.extension import extended
from handssl.study.study import Study

OVER = ("completed", "stopped", "diverged")


def recorded_study(name: str, storage: Path | str | None = None) -> Study | None:
    """Return a study as it was last run, by its name alone.

    Args:
        name: Name of the study.
        storage: Folder of the results.

    Returns:
        The study; None if no study of this name was ever run.
    """
    folder = resolve_storage(storage)
    if not has_results(folder):
        return None
    kept = Ledger(folder).studies.plan(name) or {}
    return Study.parse(kept["study"]) if "study" in kept else None


def pause(study: Study, storage: Path | str | None = None) -> bool:
    """Stop a study within seconds until it is resumed; trials keep their last epoch.

    Args:
        study: The study to pause.
        storage: Folder of the results.

    Returns:
        Whether a driver runs it now.
    """
    ledger = Ledger.existing(resolve_storage(storage))
    ledger.ask(study.name, "pause")
    return bool(status(study, ledger.storage).driver)


def resume(study: Study, storage: Path | str | None = None) -> None:
    """Let a paused study continue when it is run the next time.

    Args:
        study: The study to resume.
        storage: Folder of the results.
    """
    Ledger.existing(resolve_storage(storage)).ask(study.name, "resume")


def cancel(
    study: Study, cell: str, *, block: int | None = None, storage: Path | str | None = None
) -> tuple[str, ...]:
    """Cancel a cell: its trials stop after their current epoch, or are never started.

    Cells compared with it continue without it; trials that are over stay as they are.

    Args:
        study: The study of the cell.
        cell: Label of the cell, e.g. `contrastive blur`.
        block: One of the cell's seeds; None: all.
        storage: Folder of the results.

    Returns:
        Ids of the cancelled trials.

    Raises:
        InputError: No stage planned so far has such a cell, or all of its trials are over.
    """
    ledger = Ledger.existing(resolve_storage(storage))
    known = list(status(study, ledger.storage).trials.values())
    labels = sorted({one.trial.cell for one in known if one.trial.kind == "trial"})
    if cell not in labels:
        raise InputError(
            f"cell: expected one of the study's {len(labels)} cells, got {cell!r}"
            f"{nearest(cell, labels)}"
        )
    chosen = [one for one in known if one.trial.cell == cell and block in (None, one.trial.block)]
    if not chosen:
        raise InputError(f"block: {cell} is not run with seed {block}")
    if all(one.state in OVER for one in chosen):
        raise InputError(f"{cell}: expected trials that are not over, all of them are")
    ledger.ask(study.name, "cancel", cell=cell, block=block)
    return tuple(one.trial.trial_id for one in chosen if one.state not in OVER)


def extension_of(
    study: Study, *, blocks: Sequence[int] = (), epochs: int | None = None
) -> tuple[Study, str]:
    """Return a study with more seeds or epochs, and the effect on existing trials in words.

    Args:
        study: The study as it is now.
        blocks: Seeds to add.
        epochs: Epochs of a whole trial, more than now.

    Raises:
        InputError: Nothing would change, or epochs would become fewer.
    """
    asked = Asked(blocks=tuple(blocks), epochs=epochs)
    if epochs is not None and epochs < study.pretrain.epochs:
        raise InputError(
            f"--epochs: expected more than {study.pretrain.epochs}, the current value, got {epochs}"
        )
    larger = extended(study, asked)
    if larger == study:
        raise InputError("expected more seeds (--seeds) or more epochs (--epochs), got neither")
    return larger, _meaning(study, epochs)


def extend(
    study: Study,
    *,
    blocks: Sequence[int] = (),
    epochs: int | None = None,
    storage: Path | str | None = None,
) -> Study:
    """Add seeds or epochs to a study; they are run when it is run the next time.

    Args:
        study: The study to extend.
        blocks: Seeds to add.
        epochs: Epochs of a whole trial, more than now.
        storage: Folder of the results.

    Returns:
        The larger study.

    Raises:
        InputError: Nothing would change, or epochs would become fewer.
    """
    ledger = Ledger.existing(resolve_storage(storage))
    larger, _ = extension_of(
        extended(study, ledger.asked(study.name)), blocks=blocks, epochs=epochs
    )
    ledger.ask(study.name, "extend", blocks=list(blocks), epochs=epochs)
    return larger


def _meaning(study: Study, epochs: int | None) -> str:
    if epochs is None:
        return "trials that are over stay as they are"
    if study.pretrain.optimizer.schedule == "wsd":
        return (
            "completed trials continue from where their learning rate began to decay, others from "
            "their last epoch"
        )
    return (
        f"under the cosine schedule {epochs} epochs are a different experiment from "
        f"{study.pretrain.epochs}: every trial starts again, and the old results are kept"
    )


__all__ = [
    "StudyStatus",
    "cancel",
    "extend",
    "extension_of",
    "pause",
    "recorded_study",
    "resume",
    "status",
]
