"""One trial: pretrain, probe after every epoch, test once at the end, continue where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handssl.data.study_data import StudyData
from handssl.errors import DataError
from handssl.evaluation import evaluate_encoder
from handssl.training.checkpoints import CheckpointFolder, RunState
from handssl.training.checkpoints.reading import other_version
from handssl.training.checkpoints.writing import remove_orphans
from handssl.training.config import PretrainConfig
from handssl.training.loop import Pretraining
from handssl.training.weights import save_weights


@dataclass(frozen=True)
class EpochResult:
    """What an epoch gave.

    Attributes:
        epoch: Counted from 1.
        metrics: Losses, the ridge probe under every protocol on `select`, the aliases median_mm
            and mpje_mm; after the last epoch test_median_mm and test_mpje_mm too.
    """

    epoch: int
    metrics: dict[str, float]


class Trial:
    """One resolved configuration with one seed, on one machine.

    The folder holds `checkpoints/`, one after every epoch and the newest two kept, and when the
    trial is complete `encoder.safetensors`. A trial opened on such a folder continues after the
    epoch of the newest intact checkpoint.

    Args:
        config: The resolved configuration.
        data: Folder of the packed splits.
        folder: Where the trial keeps its files.
        device: Where to compute.

    Raises:
        DataError: No checkpoint is intact, or it belongs to another configuration or version.
    """

    def __init__(
        self, config: PretrainConfig, data: Path, folder: Path, *, device: str = "cpu"
    ) -> None:
        self.config, self.folder = config, folder
        self._data = StudyData(data)
        self._pretraining = Pretraining(config, self._data, device)
        remove_orphans(folder)
        self._checkpoints = CheckpointFolder(folder / "checkpoints")
        self._done: list[EpochResult] = self._restore()

    def epochs(self) -> Iterator[EpochResult]:
        """Yield a result for every epoch, those of an earlier run first, as recorded then.

        Yields:
            One result an epoch, from 1 to `config.epochs`.

        Raises:
            DivergedError: A loss is not finite.
            DataError: A checkpoint cannot be written; the earlier ones are kept.
        """
        yield from list(self._done)
        for epoch in range(len(self._done) + 1, self.config.epochs + 1):
            result = self._run(epoch)
            self._done.append(result)
            self._save()
            yield result

    def _run(self, epoch: int) -> EpochResult:
        metrics = self._pretraining.train_epoch(epoch)
        last = epoch == self.config.epochs
        metrics |= evaluate_encoder(
            self._pretraining.encoder,
            self._data,
            view_px=self.config.encoder.input_px,
            test=last,
        )
        return EpochResult(epoch, metrics)

    def _save(self) -> None:
        if len(self._done) == self.config.epochs:
            # Before the checkpoint: a trial whose checkpoint is complete has its weights on disk.
            save_weights(self._pretraining.encoder, self.folder / "encoder.safetensors")
        state = RunState(
            epoch=len(self._done),
            training=self._pretraining.state(),
            configuration=self.config.model_dump(mode="json"),
            fingerprint=self._data.fingerprint,
            results=[result.metrics for result in self._done],
        )
        self._checkpoints.save(state)

    def _restore(self) -> list[EpochResult]:
        state = self._checkpoints.latest()
        if state is None:
            return self._without_checkpoint()
        mine = (self.config.model_dump(mode="json"), self._data.fingerprint)
        if (state.configuration, state.fingerprint) != mine:
            raise DataError(
                f"{self._checkpoints.path}: expected checkpoints of this configuration and data, "
                "found some of another; use another folder or remove this one"
            )
        self._pretraining.load_state(state.training)
        return [EpochResult(i, metrics) for i, metrics in enumerate(state.results, start=1)]

    def _without_checkpoint(self) -> list[EpochResult]:
        if (old := self.folder / "checkpoint.pt").exists():
            raise other_version(old, "1")
        return []
