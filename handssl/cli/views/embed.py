"""Features of a folder in the terminal: progress, and the file."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np

from handssl.cli.views.terminal import progress_bar
from handssl.data.readers.find_images import images_below
from handssl.errors import DataError, InputError
from handssl.inference.embed import Embedding, embed
from handssl.inference.model import HandModel
from handssl.inference.photo import read_photo
from handssl.training.checkpoints.writing import write_whole

_ENDINGS = (".npz", ".parquet")


def embed_folder(model: HandModel, folder: Path, side: str, output: Path, *, quiet: bool) -> None:
    """Write the features of the images of a folder.

    Args:
        model: The model.
        folder: Folder of images.
        side: Handedness of all of them.
        output: File to write, `.npz` or `.parquet`.
        quiet: No progress.

    Raises:
        InputError: The folder has no image, or the file has another ending.
        DataError: Images could not be read; the features of the others are written.
    """
    if output.suffix not in _ENDINGS:
        raise InputError(f"--output {output}: expected a file that ends in .npz or .parquet")
    names = sorted(name for name, _ in images_below(folder)) if folder.is_dir() else []
    if not names:
        raise InputError(f"{folder}: expected a folder with images, found none")
    known: dict[str, Any] = {"side": side}
    readers = ((name, partial(read_photo, folder / name, **known)) for name in names)
    with progress_bar("embedding", quiet=quiet) as on_progress:
        found = embed(model, readers, on_progress=lambda done: on_progress(done, len(names)))
    _write(found, model, output)
    count, dim = found.features.shape
    click.echo(f"{count:,} images, {dim} features, encoder {model.facts.digest}: {output}")
    if found.failed:
        raise DataError(f"{len(found.failed)} of {len(names)} images left out: {found.failed[0]}")


def _write(found: Embedding, model: HandModel, output: Path) -> None:
    content = _npz(found, model) if output.suffix == ".npz" else _parquet(found)

    def put(file: BinaryIO) -> None:
        file.write(content)

    write_whole(output, put, size_bytes=len(content))


def _npz(found: Embedding, model: HandModel) -> bytes:
    file, digest = io.BytesIO(), np.array(model.facts.digest)
    np.savez(file, features=found.features, files=np.array(found.names, dtype=str), digest=digest)
    return file.getvalue()


def _parquet(found: Embedding) -> bytes:
    import pandas as pd

    columns = {f"f{number}": column for number, column in enumerate(found.features.T)}
    file = io.BytesIO()
    pd.DataFrame({"file": list(found.names), **columns}).to_parquet(file, index=False)
    return file.getvalue()
