"""Loads an encoder that was logged to MLflow: builds the network, reads its weights, no pickle.

MLflow finds this module by its name, which stands in the model's description.
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
    """What `mlflow.pyfunc.load_model` wraps: maps images to features, as a frozen encoder does.

    Args:
        encoder: The network, with its weights.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder.eval()

    def predict(self, images: Any, params: dict[str, Any] | None = None) -> NDArray[np.float32]:
        """Return features.

        Args:
            images: float32 (B, 3, P, P), normalised as the model's metadata say.
            params: Not used.

        Returns:
            float32 (B, 8 x width).
        """
        with torch.no_grad():
            features = self.encoder(torch.as_tensor(np.asarray(images, dtype=np.float32)))
        return np.asarray(features.numpy(), dtype=np.float32)


def _load_pyfunc(data_path: str) -> LoadedEncoder:
    """Load what `save_encoder` has put into the model's folder; MLflow asks for this name."""
    folder = Path(data_path)
    config = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    encoder = build_encoder(EncoderConfig.model_validate_json(config))
    safetensors.torch.load_model(encoder, folder / WEIGHTS_FILE)
    return LoadedEncoder(encoder)
