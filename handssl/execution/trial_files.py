"""Settings of a run that are not in its trial's record, stored in the trial's folder."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from handssl.config import Config, nearest
from handssl.data.stores import find_store
from handssl.errors import DataError, InputError
from handssl.evaluation.kept_probe import FILE as PROBE
from handssl.evaluation.predictions import FILE as PREDICTIONS
from handssl.execution.storage import default_tracking_uri
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.runtime.fencing import Fence, held
from handssl.runtime.shell_commands import command
from handssl.study.run_config import RunConfig
from handssl.training.checkpoints.writing import write_whole

FILE = "run.json"


class RunFile(Config):
    """Settings of a run that are not in its trial's record; written to the trial's folder.

    Attributes:
        run: Configuration of the run, including the data.
        tracking_uri: URI of the MLflow store; None for the default, and for one with a password.
    """

    run: RunConfig
    tracking_uri: str | None = None

    @classmethod
    def of(cls, run: RunConfig, tracking_uri: str, storage: Path) -> Self:
        """Return the file's content, without a URI that is the default or contains a password."""
        known = "@" in urlsplit(tracking_uri).netloc or tracking_uri == default_tracking_uri(
            storage
        )
        return cls(run=run, tracking_uri=None if known else tracking_uri)

    def save(self, folder: Path, fence: Fence | None = None) -> None:
        """Write it atomically into a trial's folder.

        Raises:
            DataError: The folder cannot be written.
            TakenOverError: Another process has claimed the folder.
        """
        content = self.model_dump_json(indent=2).encode()

        def write(file: BinaryIO) -> None:
            file.write(content)

        write_whole(folder / FILE, write, size_bytes=len(content), fence=fence)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Read the file of a trial's folder; None if there is none."""
        path = folder / FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(
                f"{path}: expected the settings of a run, cannot read them "
                f"({str(error).splitlines()[0]}); remove it and give CONFIG"
            ) from None


ERROR_FILE = "error.txt"


def named_trial(name: str, ledger: Ledger) -> TrialRecord:
    """Return the record of the trial whose id starts with a name.

    Raises:
        InputError: No trial, or more than one, has that name.
    """
    records = ledger.all()
    found = [record for record in records if record.trial_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = [record.trial_id[:12] for record in records]
    hint = nearest(name, known) if known else "; there are none"
    raise InputError(
        f"trial {name!r}: expected the start of one trial's id in {ledger.storage}, found "
        f"{len(found)} matching ones{hint}"
    )


def labelled_store(record: TrialRecord, storage: Path) -> Path | None:
    """Return the store of a trial's labels; None if its record does not name the data.

    Raises:
        InputError: The store is not there.
        DataError: The store is not complete.
    """
    dataset, _, fingerprint = record.tags.get("data_labelled", "").partition(" ")
    return find_store(dataset, fingerprint, storage) if fingerprint else None


def encoder_file(folder: Path) -> Path:
    """Return the file with the encoder of a finished trial.

    Args:
        folder: The trial's folder.

    Raises:
        DataError: There is none.
    """
    path = folder / "encoder.safetensors"
    if not path.is_file():
        raise DataError(
            f"{path}: expected the encoder of a finished trial, found none; references and stopped "
            "trials have none"
        )
    return path


def predictions_file(folder: Path) -> Path:
    """Return the file with the last predictions of a finished trial or a reference.

    Args:
        folder: The trial's folder.

    Raises:
        DataError: There is none: it is not completed, or an earlier version completed it.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        make = command("predictions", "make", folder.name, storage=folder.parent.parent)
        raise DataError(
            f"{path}: expected the predictions of a completed trial, found none; if an earlier "
            f"version completed it, make them with `{make}`"
        )
    return path


def probe_file(folder: Path) -> Path:
    """Return the file with the probe of a finished trial.

    Args:
        folder: The trial's folder.

    Raises:
        DataError: There is none: it is not completed, or an earlier version completed it.
    """
    path = folder / PROBE
    if not path.is_file():
        keep = command("probe", folder.name, "--keep", storage=folder.parent.parent)
        raise DataError(
            f"{path}: expected the probe of a completed trial, found none; if an earlier version "
            f"completed it, fit and keep one with `{keep}`"
        )
    return path


def write_error(folder: Path, fence: Fence | None = None) -> None:
    """Write the traceback of the error that is being handled into a trial's folder.

    Args:
        folder: The trial's folder, created if missing.
        fence: Fence of the folder.

    Raises:
        TakenOverError: Another process has claimed the folder; nothing was written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         1 / 0
        ...     except ZeroDivisionError:
        ...         write_error(Path(folder))
        ...     Path(folder, ERROR_FILE).read_text().splitlines()[-1]
        'ZeroDivisionError: division by zero'
    """
    with held(fence):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")
