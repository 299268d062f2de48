"""The encoders that the best cell of a stage has trained, for stages that start from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import safetensors.torch

from handssl.models import InitConfig
from handssl.models.pretrained import digest_of
from handssl.study.stages import Selection
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial

FILE = "encoder.safetensors"


def with_encoders(
    selection: Selection, study: Study, trials: Iterable[PlannedTrial], storage: Path
) -> Selection:
    """Return a selection with the encoders of its best cell, if a later stage starts from them.

    Args:
        selection: Selection of a stage.
        study: The study.
        trials: Trials of that stage.
        storage: Root of all results.
    """
    if selection.best is None or not _is_needed(selection.stage, study):
        return selection
    own = [one for one in trials if one.cell == selection.best.label]
    return selection.model_copy(update={"encoders": _encoders(own, storage)})


def _is_needed(stage: str, study: Study) -> bool:
    return any(one.takes_encoders and stage in one.needs for one in study.all_stages)


def _encoders(trials: Sequence[PlannedTrial], storage: Path) -> dict[int, InitConfig]:
    """Return the weights of every trial that has some, by block; stopped trials have none."""
    files = {one: storage / "trials" / one.trial_id / FILE for one in trials}
    return {
        one.block: InitConfig(weights=one.trial_id, digest=_digest(path, path.stat().st_mtime_ns))
        for one, path in files.items()
        if path.is_file()
    }


@lru_cache(maxsize=256)
def _digest(path: Path, written_ns: int) -> str:
    tensors = safetensors.torch.load_file(path)
    weights = {n: t.float() for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    return digest_of(weights)
