"""The code of an encoder logged to MLflow: builds the network and reads its weights, no pickle.

MLflow keeps a copy of this file with the model and runs it when the model is loaded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.torch
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from numpy.typing import NDArray

from handssl.models import EncoderConfig, ResNet18, build_encoder


class Encoder(PythonModel):  # type: ignore[misc]
    """Maps images to features, as a frozen encoder does in a probe."""

    encoder: ResNet18

    def load_context(self, context: Any) -> None:
        """Build the network and fill it.

        Args:
            context: MLflow's: the encoder's configuration and where its weights lie.
        """
        config = EncoderConfig.parse(dict(context.model_config))
        self.encoder = build_encoder(config).eval()
        safetensors.torch.load_model(self.encoder, context.artifacts["weights"])

    # A hint for the images would be taken for a schema, with a warning.
    def predict(  # type: ignore[no-untyped-def]
        self, context: Any, model_input, params: Any = None
    ) -> NDArray[np.float32]:
        """Return features.

        Args:
            context: Not used.
            model_input: float32 (B, 3, P, P), normalised as the model's metadata say.
            params: Not used.

        Returns:
            float32 (B, 8 x width).
        """
        images = torch.as_tensor(np.asarray(model_input, dtype=np.float32))
        with torch.no_grad():
            features: NDArray[np.float32] = self.encoder(images).numpy()
        return features


set_model(Encoder())
