"""Export to ONNX, checked by onnxruntime against torch."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import nn

from handssl.errors import HandsslError, InputError
from handssl.evaluation.targets import from_columns
from handssl.inference.model import HandModel
from handssl.training.checkpoints.writing import write_whole
from handssl.transforms.views import MEAN, STD

TOLERANCE = 1e-4
"""Largest deviation of an output from torch's."""

OUTPUTS = ("features", "uv", "z")
_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_CHECKED_BATCHES = (1, 3)


class _WholeModel(nn.Module):
    """From RGB images in [0, 1] to features, uv in box sides and z in bone lengths."""

    def __init__(self, model: HandModel) -> None:
        super().__init__()
        self.encoder, self.read_out = model.encoder, model.probe.read_out.module()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = self.encoder((images - self.mean) / self.std)
        uv, z = from_columns(self.read_out(features))
        return features, uv, z


def save_onnx(model: HandModel, path: Path) -> float:
    """Write a model as ONNX, after onnxruntime has given torch's outputs.

    Input `images`: float32 (B, 3, P, P), RGB in [0, 1]. Outputs: `features` (B, dim), `uv`
    (B, 21, 2) in box sides from the centre, `z` (B, 21) in bone lengths.

    Args:
        model: The model.
        path: The file.

    Returns:
        Largest deviation of an output from torch's, at most `TOLERANCE`.

    Raises:
        InputError: The libraries of the extra `export` are not installed, or the encoder cannot be
            expressed.
        HandsslError: An output deviates by more.
        DataError: The file cannot be written.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"export to ONNX needs {', '.join(missing)}; install them with "
            "`pip install 'handssl[export]'`"
        )
    network = _WholeModel(model).eval()
    content = _with_facts(_exported(network, model), model)
    deviation = _deviation(content, network, model.facts.encoder.input_px)
    if not deviation <= TOLERANCE:
        raise HandsslError(
            f"{path}: expected outputs of onnxruntime within {TOLERANCE:g} of torch's, found "
            f"{deviation:.2g}; nothing was written"
        )
    write_whole(path, lambda file: _write(file, content), size_bytes=len(content))
    return deviation


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _exported(network: nn.Module, model: HandModel) -> bytes:
    side = model.facts.encoder.input_px
    example = torch.zeros(2, 3, side, side)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="handssl-onnx-") as scratch:
        file = Path(scratch) / "model.onnx"
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")  # of the exporter about itself
                torch.onnx.export(
                    network,
                    (example,),
                    file,
                    input_names=["images"],
                    output_names=list(OUTPUTS),
                    dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
                    dynamo=True,
                    external_data=False,
                    verbose=False,
                )
        except Exception as error:  # the exporter raises errors of many classes
            raise InputError(
                f"encoder {model.facts.encoder.name}: torch cannot express it in ONNX "
                f"({str(error).splitlines()[0]}); use --format safetensors"
            ) from None
        return file.read_bytes()


def _with_facts(content: bytes, model: HandModel) -> bytes:
    import onnx

    found = onnx.load_from_string(content)
    facts = model.facts
    values = {
        "handssl.name": model.card.name,
        "handssl.digest": facts.digest,
        "handssl.target": facts.target,
        "handssl.joints": ",".join(facts.joints),
        "handssl.crop": f"{facts.hand.margin:.4f} times the larger edge of the joints' box",
        "handssl.licence": "; ".join(model.card.licences()),
    }
    onnx.helper.set_model_props(found, values)
    onnx.checker.check_model(found)
    return bytes(found.SerializeToString())


def _deviation(content: bytes, network: nn.Module, side: int) -> float:
    """Return the largest deviation over random images, in batches of several sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    largest = 0.0
    for batch in _CHECKED_BATCHES:
        images = generator.random((batch, 3, side, side), dtype=np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(images))
        for ours, theirs in zip(expected, session.run(None, {"images": images}), strict=True):
            largest = max(largest, float(np.abs(ours.numpy() - theirs).max()))
    return largest
