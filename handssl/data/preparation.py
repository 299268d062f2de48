"""From a description of the data to packed splits on disk, by the path real data takes.

Procedural hands are written in FreiHAND's layout, read back by the FreiHAND reader and packed.
Everything is reused when it is already there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from handssl.config import Config
from handssl.data.freihand import FreihandDataset
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.sample import SPLITS
from handssl.data.store import pack

Count = Annotated[int, Field(ge=16, le=10_000_000)]
Progress = Callable[[str, int, int], None]


class DataConfig(Config):
    """Which data a study runs on.

    Attributes:
        name: The dataset.
        pretrain: Images without labels.
        probe: Labelled images the probe is fitted on.
        select: Labelled images every choice is made on.
        test: Labelled images that are only reported.
        image_px: Side of the rendered images.
        crop_px: Side of the stored crops.
        context: Side of a stored crop in box sides.
        level: `cone` of views around the palm, back and side, or `hard`: any view.
        seed: Of subjects, poses, lights and backgrounds.
    """

    name: Literal["procedural"] = "procedural"
    pretrain: Count = 2048
    probe: Count = 1024
    select: Count = 512
    test: Count = 512
    image_px: Annotated[int, Field(ge=64, le=512)] = 112
    crop_px: Annotated[int, Field(ge=32, le=512)] = 112
    context: Annotated[float, Field(ge=1.0, le=3.0)] = 1.75
    level: Literal["cone", "hard"] = "cone"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def procedural(self) -> ProceduralSpec:
        """Return what the procedural writer is asked for."""
        return ProceduralSpec(
            pretrain=self.pretrain,
            probe=self.probe,
            select=self.select,
            test=self.test,
            image_px=self.image_px,
            context=self.context,
            level=self.level,
            seed=self.seed,
        )


def prepare(
    config: DataConfig,
    storage: Path,
    on_progress: Progress | None = None,
    *,
    workers: int = 2,
) -> Path:
    """Return the folder of packed splits, writing what is missing.

    Args:
        config: Which data.
        storage: Root of all results; the source lies under `datasets/`, the splits under `stores/`.
        on_progress: Called with (phase, done, total).
        workers: Processes that render, threads that pack.

    Raises:
        DataError: The disk holds something else where the data belongs, or is full.
    """
    spec = config.procedural()
    name = f"{config.name}-{spec.fingerprint[:12]}"
    root = storage / "datasets" / name
    write_freihand(root, spec, workers=workers, on_progress=_phase(on_progress, "rendering"))
    folder = storage / "stores" / f"{name}-{config.crop_px}"
    for split in SPLITS:
        pack(
            FreihandDataset(root, split),
            folder / split,
            crop_px=config.crop_px,
            context=config.context,
            on_progress=_phase(on_progress, f"packing {split}"),
            threads=workers,
        )
    return folder


def _phase(on_progress: Progress | None, phase: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else lambda done, total: on_progress(phase, done, total)
