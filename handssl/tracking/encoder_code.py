"""Loader of encoders logged to MLflow: builds the network and reads its weights, no pickle.

MLflow finds this module by its name, which is stored in the model's description.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from handssl.models import Encoder, EncoderConfig, build_encoder

CONFIG_FILE, WEIGHTS_FILE = "encoder.json", "encoder.safetensors"


class LoadedEncoder:
    """A frozen encoder that maps images to features; `mlflow.pyfunc.load_model` wraps it.

    Args:
        encoder: The network, with its weights.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder.eval()

    def predict(self, images: Any, params: dict[str, Any] | None = None) -> NDArray[np.float32]:
        """Return the features of images.

        Args:
            images: float32 (B, 3, P, P), normalised as in the model's metadata.
            params: Not used.

        Returns:
            float32 (B, 8 x width).
        """
        with torch.no_grad():
            features = self.encoder(torch.as_tensor(np.asarray(images, dtype=np.float32)))
        return np.asarray(features.numpy(), dtype=np.float32)


def _load_pyfunc(data_path: str) -> LoadedEncoder:
    """Load what `save_encoder` wrote to the model's folder; MLflow requires this name."""
    folder = Path(data_path)
    config = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    encoder = build_encoder(EncoderConfig.model_validate_json(config))
    safetensors.torch.load_model(encoder, folder / WEIGHTS_FILE)
    return LoadedEncoder(encoder)
