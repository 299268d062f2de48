"""Read and write models: a trial's folder, or one safetensors file with encoder and read-out.

The tensors of the file are `encoder.<name>` and `read_out.<name>`; its metadata `handssl` has the
facts of the read-out and the card. It may store the encoder in half precision: the digest is that
of the values in the file, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import nn

from handssl.config import Config
from handssl.errors import DataError, HandsslError, InputError
from handssl.evaluation.kept_probe import (
    FILE as PROBE,
)
from handssl.evaluation.kept_probe import (
    KeptProbe,
    ProbeFacts,
    decode,
    encoder_digest,
    metadata,
    metadata_of,
    read,
)
from handssl.inference.card import ModelCard
from handssl.inference.model import HandModel
from handssl.models import Encoder, build_encoder
from handssl.models.pretrained import read_encoder, tensors_of
from handssl.training.checkpoints.writing import write_whole

ENCODER = "encoder.safetensors"
_ENCODER, _READ_OUT = "encoder.", "read_out."


class _FileFacts(Config):
    """Metadata of a model's file."""

    probe: ProbeFacts
    card: ModelCard


def load_folder(folder: Path, card: ModelCard | None = None) -> HandModel:
    """Load the model of a trial's folder: `encoder.safetensors` and `probe.safetensors`.

    Args:
        folder: The folder.
        card: Facts about the model; default: its folder's name and data alone.

    Raises:
        DataError: A file is missing or damaged, or the probe belongs to another encoder.
    """
    kept = decode(_bytes(folder / PROBE), where=str(folder / PROBE))
    encoder = build_encoder(kept.facts.encoder)
    tensors = read_encoder(folder / ENCODER, encoder)
    encoder.load_state_dict(tensors, strict=False)  # counters of batches are never read
    if (found := encoder_digest(encoder)) != kept.facts.digest:
        raise DataError(
            f"{folder / PROBE}: expected a probe of the encoder {found} beside it, found one of "
            f"{kept.facts.digest}; fit and keep another with `handssl probe {folder.name} --keep`"
        )
    own = card or ModelCard(name=folder.name, labels=kept.facts.data)
    return HandModel(encoder.eval(), kept, own)


def save_model(model: HandModel, path: Path, *, half: bool = False) -> None:
    """Write a model as one safetensors file, atomically.

    Args:
        model: The model.
        path: The file.
        half: Store the encoder in half precision; its values must be exact in it, see `rounded`.

    Raises:
        DataError: The file cannot be written.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {
        f"{_ENCODER}{name}": one.detach().cpu().to(dtype).contiguous()
        for name, one in tensors_of(model.encoder).items()
    }
    tensors |= {f"{_READ_OUT}{n}": one for n, one in model.probe.read_out.tensors().items()}
    content = safetensors.torch.save(
        tensors, metadata(_FileFacts(probe=model.facts, card=model.card))
    )

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(path, write, size_bytes=len(content))


def load_model(path: Path) -> HandModel:
    """Load a model from the file that `save_model` wrote.

    Raises:
        InputError: There is no such file.
        DataError: It is damaged, changed, of another program, or predicts other joints.
    """
    content = _bytes(path)
    try:
        tensors = safetensors.torch.load(content)
        values = metadata_of(content)
    except (safetensors.SafetensorError, ValueError, UnicodeDecodeError) as error:
        raise _foreign(path, f"cannot read one ({str(error).splitlines()[0]})") from None
    if values is None or "probe" not in values:
        raise _foreign(path, "found weights without a read-out of handssl")
    read_out, facts = read(_below(tensors, _READ_OUT), values["probe"], where=str(path))
    encoder = _encoder(facts, _below(tensors, _ENCODER), path)
    card = ModelCard.parse(values.get("card", {"name": path.stem}), where=str(path))
    return HandModel(encoder, KeptProbe(read_out, facts), card)


def rounded(encoder: nn.Module) -> None:
    """Round an encoder's weights and statistics in place to values exact in half precision."""
    with torch.no_grad():
        for one in tensors_of(encoder).values():
            one.copy_(one.half().to(one.dtype))


def _encoder(facts: ProbeFacts, tensors: Mapping[str, torch.Tensor], path: Path) -> Encoder:
    encoder = build_encoder(facts.encoder)
    try:
        encoder.load_state_dict({n: t.float() for n, t in tensors.items()}, strict=False)
    except RuntimeError as error:
        raise _foreign(
            path, f"found other layers ({str(error).splitlines()[-1].strip()})"
        ) from None
    if encoder_digest(encoder) != facts.digest:
        raise DataError(
            f"{path}: expected the encoder {facts.digest}, found {encoder_digest(encoder)}: the "
            "file was changed after it was written; export it again"
        )
    return encoder.eval()


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): one for n, one in tensors.items() if n.startswith(prefix)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected a model, found no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _foreign(path: Path, found: str) -> HandsslError:
    return DataError(
        f"{path}: expected a model of handssl (encoder and read-out in one file), {found}; write "
        "one with `handssl export RUN --format safetensors`"
    )
