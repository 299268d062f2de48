"""What the record of a run's trial does not say, kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from handssl.config import Config
from handssl.errors import DataError
from handssl.fencing import Fence
from handssl.sweep.run_config import RunConfig
from handssl.sweep.storage import default_tracking_uri
from handssl.training.checkpoints.writing import write_whole

FILE = "run.json"


class RunFile(Config):
    """What a trial's record does not say about its run; written beside it.

    Attributes:
        run: What was asked for, the data included.
        tracking_uri: The MLflow store; None for the storage's own, and for one with a password.
    """

    run: RunConfig
    tracking_uri: str | None = None

    @classmethod
    def of(cls, run: RunConfig, tracking_uri: str, storage: Path) -> Self:
        """Return what is written: no URI with a name or password in it, nor the default."""
        known = "@" in urlsplit(tracking_uri).netloc or tracking_uri == default_tracking_uri(
            storage
        )
        return cls(run=run, tracking_uri=None if known else tracking_uri)

    def save(self, folder: Path, fence: Fence | None = None) -> None:
        """Write it into a trial's folder, whole or not at all.

        Raises:
            DataError: The folder cannot be written.
            TakenOverError: It was claimed by another.
        """
        content = self.model_dump_json(indent=2).encode()

        def write(file: BinaryIO) -> None:
            file.write(content)

        write_whole(folder / FILE, write, size_bytes=len(content), fence=fence)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Return what was written, None where nothing was."""
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
