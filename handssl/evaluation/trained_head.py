"""The head of a fine-tuned model as a probe: it is evaluated, not fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from handssl.evaluation.read_out import LinearReadOut
from handssl.objectives import Supervised


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """Head of the supervised objective, with the interface of a fitted probe.

    Attributes:
        head: The trained objective.
    """

    head: Supervised
    name: ClassVar[str] = "end_to_end"

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, 63) predictions for features (N, D), as float64 on the CPU."""
        weights = next(self.head.parameters())
        with torch.no_grad():
            return self.head.predict(features.to(weights)).double().cpu()

    def chosen(self) -> dict[str, float]:
        """Return no hyperparameters: none is chosen on `select`."""
        return {}

    def read_out(self) -> LinearReadOut:
        """Return the layer as it is kept: on the features as they are, in the units of labels."""
        layer = {name: one.detach().double().cpu() for name, one in self.head.linear().items()}
        still = torch.zeros(len(layer["weight"]), dtype=torch.float64)
        return LinearReadOut(still, torch.ones_like(still), layer["weight"], layer["intercept"])
