"""Find a trained model by name, and use it: the model of a trial, of a file, or the bundled one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.errors import InputError
from handssl.execution.resume import find_run
from handssl.execution.storage import resolve_storage
from handssl.execution.trial_files import encoder_file, probe_file
from handssl.ledger import Ledger
from handssl.ledger.best import best_encoder
from handssl.ledger.record import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handssl.inference.hand_pose import HandPose
    from handssl.inference.model import HandModel
    from handssl.models import Encoder

BEST = "best"
"""Name of the best completed pretraining of a storage; `best:STUDY` for that of one study."""


@dataclass(frozen=True)
class TrainedTrial:
    """A completed trial whose encoder can be used.

    Attributes:
        record: Record of the trial.
        storage: Folder of the results.
    """

    record: TrialRecord
    storage: Path

    @property
    def folder(self) -> Path:
        """Folder of the trial's files."""
        return self.storage / "trials" / self.record.trial_id

    def encoder(self) -> Encoder:
        """Return the encoder with its weights, in evaluation mode.

        It maps images (B, 3, P, P), RGB, normalised by the usual ImageNet mean and standard
        deviation, to features (B, dim); P is `record.config["encoder"]["input_px"]`.

        Raises:
            DataError: The file with the weights is missing or damaged.
        """
        return self.model().encoder

    def model(self, *, intervals: bool = False) -> HandModel:
        """Return the encoder with its read-out.

        Args:
            intervals: Whether its card has errors with intervals.

        Raises:
            DataError: A file is missing or damaged; the message says how to make it.
        """
        from handssl.execution.trained.card import card_of
        from handssl.inference.model_file import load_folder

        encoder_file(self.folder)
        probe_file(self.folder)
        card = card_of(self.record, self.storage, intervals=intervals)
        return load_folder(self.folder, card)

    def predict(self, image: Path | str | NDArray[np.uint8], **known: Any) -> HandPose:
        """Predict the hand in an image, see `handssl.predict`."""
        return predict_with(self.model(), image, **known)


def open_model(
    name: Path | str | None = None,
    storage: Path | str | None = None,
    *,
    intervals: bool = False,
    asked: str = "--model",
) -> HandModel:
    """Open a model by its name.

    Args:
        name: A file of `handssl export --format safetensors`; the folder of a trial; a run in the
            storage by its trial id, the beginning of that or its MLflow run id; `best` or
            `best:STUDY`; None: the small model that is part of handssl.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        intervals: Whether the card of a run has errors with intervals.
        asked: Name of the option that names the model, for messages.

    Raises:
        InputError: There is no such model, or more than one.
        DataError: Its files are missing, damaged, of another program or of other joints.
    """
    from handssl.inference.bundled import bundled_model
    from handssl.inference.model_file import load_folder, load_model

    if name is None:
        return bundled_model()
    path = Path(name).expanduser()
    if path.is_file():
        return load_model(path)
    if path.is_dir() and not _is_recorded(path):
        encoder_file(path)
        probe_file(path)
        return load_folder(path)
    if path.is_dir():
        found = open_trial(path.resolve().name, path.resolve().parent.parent, asked=asked)
    elif path.suffix or len(path.parts) > 1:
        raise InputError(f"{asked} {name}: expected a model's file, a folder or a run, found none")
    else:
        found = open_trial(str(name), resolve_storage(storage), asked=asked)
    return found.model(intervals=intervals)


def open_trial(name: str, storage: Path, *, asked: str = "--model") -> TrainedTrial:
    """Return the completed trial of a name.

    Raises:
        InputError: There is no such trial, more than one, or it has no encoder.
    """
    ledger = Ledger.existing(storage)
    kind, _, study = name.partition(":")
    if kind == BEST:
        return TrainedTrial(_best(ledger, study, asked), storage)
    return TrainedTrial(find_run(name, ledger, asked=asked), storage)


def _best(ledger: Ledger, study: str, asked: str) -> TrialRecord:
    records = [
        record
        for record in ledger.all(study or None)
        if record.outcome == "completed" and has_encoder(ledger.folder(record.trial_id))
    ]
    studies = sorted({record.study for record in records})
    if len(studies) > 1:
        raise InputError(
            f"{asked} {BEST}: expected one study, {ledger.storage} has {len(studies)}; name it: "
            + ", ".join(f"{BEST}:{one}" for one in studies[:5])
        )
    best = best_encoder(records)
    if best is None:
        raise InputError(
            f"{asked} {BEST}: expected a completed pretraining in {ledger.storage}, found none"
        )
    return best


def has_encoder(folder: Path) -> bool:
    """Return whether the encoder of a trial's folder is there."""
    return (folder / "encoder.safetensors").is_file()


def _is_recorded(folder: Path) -> bool:
    """Return whether a folder is that of a trial in a storage."""
    storage = folder.resolve().parent.parent
    return folder.resolve().parent.name == "trials" and (storage / "ledger.db").is_file()


def predict(
    image: Path | str | NDArray[np.uint8],
    *,
    model: HandModel | Path | str | None = None,
    storage: Path | str | None = None,
    **known: Any,
) -> HandPose:
    """Predict the 21 joints of the hand in an image.

    Args:
        image: Path of a photo or a crop, or RGB pixels, uint8 (H, W, 3).
        model: A model, or its name, see `open_model`; None: the small one that is part of handssl.
        storage: Folder of the results in which runs are named.
        known: What is known about the image, see `handssl.inference.photo.Photo`: `box` (x, y,
            width, height), `side`, `camera` (fx, fy, cx, cy), `bone_mm`. What is not given is
            assumed, and `assumptions` of the result says how.

    Raises:
        InputError: There is no such model, or something that is given is not valid.
        DataError: The file is not an image, or the model is damaged.

    Example:
        ```python
        pose = handssl.predict("hand.jpg", model="runs/first/trials/3f2a...", side="left")
        pose.uv, pose.xyz_mm, pose.assumptions
        ```
    """
    from handssl.inference.model import HandModel

    found = model if isinstance(model, HandModel) else open_model(model, storage, asked="model")
    return predict_with(found, image, **known)


def predict_with(model: HandModel, image: Path | str | NDArray[np.uint8], **known: Any) -> HandPose:
    """Predict the hand in an image with an open model, see `predict`."""
    from handssl.inference.photo import Photo, read_photo
    from handssl.inference.predict import predict_photos

    is_file = isinstance(image, Path | str)
    photo = read_photo(Path(image), **known) if is_file else Photo(image, **known)  # type: ignore[arg-type]
    (pose,) = predict_photos(model, [photo])
    return pose
