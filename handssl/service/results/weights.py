"""Weights of a trial of a study, with their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from handssl.errors import DataError
from handssl.execution.trial_files import encoder_file
from handssl.service.errors import NoResultsError, NoSuchTrialError
from handssl.service.results.making import Made


@dataclass(frozen=True)
class Weights:
    """Weights of a trial's encoder.

    Attributes:
        trial_id: Id of the trial.
        path: File in the format safetensors.
        sha256: Digest of the file, hexadecimal.
    """

    trial_id: str
    path: Path
    sha256: str


def weights_of(made: Made, study: str, storage: Path, name: str) -> Weights:
    """Return the weights of a trial of a study.

    The path is built from an id of the ledger, never from the request, and only trials of the study
    are searched.

    Args:
        made: Results of the study.
        study: Name of the study.
        storage: Folder of the results.
        name: Start of the trial's id; empty: the trial with the best encoder.

    Raises:
        NoSuchTrialError: No trial of the study, or more than one, has that name.
        NoResultsError: The trial has no weights, or no pretraining is completed yet.
    """
    trial_id = _chosen(made, study, name)
    try:
        path = encoder_file(storage / "trials" / trial_id)
        state = path.stat()
    except (DataError, OSError):
        why = f"trial {trial_id} is not completed, or is a reference without an encoder"
        raise NoResultsError(study, "weights", why) from None
    return Weights(trial_id, path, _digest(path, state.st_ino, state.st_size, state.st_mtime_ns))


def _chosen(made: Made, study: str, name: str) -> str:
    if not name:
        if not made.contents.best:
            raise NoResultsError(study, "weights", "no pretraining is completed")
        return made.contents.best
    found = [one for one in made.contents.trials if one.startswith(name)]
    if len(found) != 1:
        raise NoSuchTrialError(name, study, found)
    return found[0]


@lru_cache(maxsize=256)
def _digest(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
