"""Keep the probe of a trial in its folder, beside its encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from torch import nn

from handssl.data.splits import StudyData
from handssl.evaluation.kept_probe import FILE, KeptProbe
from handssl.evaluation.ridge import LinearProbe
from handssl.models import EncoderConfig
from handssl.runtime.fencing import Fence
from handssl.training.checkpoints.writing import write_whole

OnProbe = Callable[[LinearProbe, nn.Module], None]
"""Function that receives a fitted probe and the encoder whose features it was fitted on."""


def keep_probe_in(
    folder: Path,
    data: StudyData,
    config: EncoderConfig,
    fence: Fence | None = None,
) -> OnProbe:
    """Return a function that writes a probe into a trial's folder, atomically.

    Args:
        folder: The trial's folder, created if missing.
        data: The packed splits that the probe is fitted on.
        config: Configuration of the encoder.
        fence: Fence of the folder. The function raises TakenOverError if another process has
            claimed it, and DataError if the file cannot be written.
    """

    def keep(probe: LinearProbe, encoder: nn.Module) -> None:
        kept = KeptProbe.of(
            probe.read_out(), encoder, config, data.store("probe"), probe=probe.name
        )
        write_probe(kept, folder, fence)

    return keep


def write_probe(kept: KeptProbe, folder: Path, fence: Fence | None = None) -> Path:
    """Write a probe into a trial's folder, atomically; return its path.

    Raises:
        TakenOverError: Another process has claimed the folder.
        DataError: The file cannot be written.
    """
    content = kept.encode()

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(folder / FILE, write, size_bytes=len(content), fence=fence)
    return folder / FILE
