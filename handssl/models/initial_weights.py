"""Load the initial weights of an encoder from a file, or from a storage by their digest."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from handssl.errors import DataError, HandsslError
from handssl.models.config import InitConfig
from handssl.models.pretrained import digest_of, read_encoder

FOLDER = "weights"


def kept_weights(storage: Path, digest: str) -> Path:
    """Return the path of the initial weights with a digest in a storage, which all nodes see."""
    return storage / FOLDER / f"{digest}.safetensors"


def load_initial(encoder: nn.Module, init: InitConfig, storage: Path | None = None) -> None:
    """Load the configured initial weights into an encoder; leave it unchanged if they are random.

    Args:
        encoder: The encoder.
        init: Configuration of the weights.
        storage: Root of all results, where weights with a digest are read; None: the file that the
            configuration names.

    Raises:
        InputError: There is no such file, or it has the weights of another architecture.
        DataError: The file is missing from the storage, or its content is not that of the digest.
    """
    if init.is_random:
        return
    is_kept = bool(init.digest) and storage is not None
    path = kept_weights(storage, init.digest) if is_kept and storage else Path(init.weights)
    try:
        tensors = read_encoder(path, encoder)
        found = digest_of(tensors)
    except HandsslError as error:
        raise type(error)(f"{error}{_again(init) if is_kept else ''}") from None
    if init.digest and found != init.digest:
        raise DataError(
            f"{path}: expected the initial weights {init.digest}, found {found}{_again(init)}"
        )
    # Not strict: counters of batches, which are never read, are not in the file.
    encoder.load_state_dict(tensors, strict=False)


def _again(init: InitConfig) -> str:
    source = init.weights or "their file"
    return f"; run the study again where {source} can be read: it writes them into the storage"
