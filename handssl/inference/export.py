"""Export a model to a file for other programs, with its card beside it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch

from handssl.errors import InputError
from handssl.inference.card import markdown
from handssl.inference.model import HandModel
from handssl.inference.model_file import save_model
from handssl.inference.onnx_file import save_onnx
from handssl.training.checkpoints.writing import write_whole

_PLAIN_WIDTH = 64


@dataclass(frozen=True)
class Exported:
    """Files of an export.

    Attributes:
        path: The model.
        card: Its card, Markdown.
        how: How the model is read, one sentence.
    """

    path: Path
    card: Path
    how: str


def export_model(model: HandModel, layout: str, path: Path) -> Exported:
    """Write a model and its card.

    Args:
        model: The model.
        layout: A key of `FORMATS`.
        path: File of the model; the card has the same name and `.md`.

    Raises:
        InputError: The model has no such form, or libraries are missing.
        DataError: A file cannot be written.
    """
    how = FORMATS[layout].save(model, path)
    card = path.with_suffix(".md")
    _write(card, markdown(model.card, model.network, (f"`{path.name}`: {how}",)).encode())
    return Exported(path, card, how)


@dataclass(frozen=True)
class Format:
    """A form of a model.

    Attributes:
        suffix: Usual ending of its file.
        save: Function that writes it and returns how it is read.
    """

    suffix: str
    save: Callable[[HandModel, Path], str]


def _torchvision(model: HandModel, path: Path) -> str:
    """Write the encoder's state dict under the names of torchvision's `resnet18`, without `fc`."""
    config = model.facts.encoder
    if config.name != "resnet18":
        raise InputError(
            f"--format torchvision: expected a ResNet-18, the encoder is {config.name}; use "
            "--format safetensors or onnx"
        )
    state = {name: one.detach().cpu().clone() for name, one in model.encoder.state_dict().items()}
    if path.suffix == ".safetensors":
        content = safetensors.torch.save({n: t.contiguous() for n, t in state.items()})
    else:
        buffer = io.BytesIO()
        torch.save({n: t.contiguous() for n, t in state.items()}, buffer)
        content = buffer.getvalue()
    _write(path, content)
    side = f"normalised RGB images (B, 3, {config.input_px}, {config.input_px})"
    if config.width == _PLAIN_WIDTH:
        return f"state dict of `torchvision.models.resnet18` with `fc = Identity()`; {side}"
    return (
        f"tensors of `torchvision.models.resnet18` with `fc = Identity()`, of width {config.width} "
        f"in place of {_PLAIN_WIDTH}: call it by `torch.func.functional_call(network, state, "
        f"images)`; {side}"
    )


def _safetensors(model: HandModel, path: Path) -> str:
    save_model(model, path)
    return (
        "encoder and read-out for `handssl predict --model`, or `safetensors.torch.load_file`; "
        f"digest of the encoder {model.facts.digest}"
    )


def _onnx(model: HandModel, path: Path) -> str:
    deviation = save_onnx(model, path)
    side = model.facts.encoder.input_px
    return (
        f"ONNX; `images` float32 (B, 3, {side}, {side}), RGB in [0, 1], to `features`, `uv` in box "
        f"sides from the centre and `z` in bone lengths; onnxruntime gave torch's outputs within "
        f"{deviation:.1g}"
    )


FORMATS = {
    "torchvision": Format(".pth", _torchvision),
    "safetensors": Format(".safetensors", _safetensors),
    "onnx": Format(".onnx", _onnx),
}
"""Every form of a model, by name."""


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda file: _put(file, content), size_bytes=len(content))


def _put(file: BinaryIO, content: bytes) -> None:
    file.write(content)
