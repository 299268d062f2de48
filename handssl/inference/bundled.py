"""The small model that is part of handssl, so that a prediction needs no training."""

from __future__ import annotations

from pathlib import Path

from handssl.errors import InputError
from handssl.inference.model import HandModel
from handssl.inference.model_file import load_model

BUNDLED = Path(__file__).with_name("assets") / "procedural.safetensors"
LARGEST_BYTES = 4 * 2**20


def bundled_model() -> HandModel:
    """Return the small model that is part of handssl; its card says what it was trained on.

    Raises:
        InputError: This installation has none.
    """
    if not BUNDLED.is_file():
        raise InputError(
            "--model: this installation of handssl has no model of its own; name a run, e.g. "
            "`--model best` after `handssl demo`"
        )
    return load_model(BUNDLED)
