"""A trained model: an encoder with the read-out that was fitted on its features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from handssl.evaluation.features import frozen
from handssl.evaluation.kept_probe import KeptProbe, ProbeFacts
from handssl.inference.card import ModelCard
from handssl.models import Encoder
from handssl.transforms import plain_view


@dataclass(frozen=True, eq=False)
class HandModel:
    """An encoder with its read-out; both frozen.

    Attributes:
        encoder: The encoder, in evaluation mode, float32.
        probe: Its read-out, with what it means.
        card: Facts about the model.
    """

    encoder: Encoder
    probe: KeptProbe
    card: ModelCard

    @property
    def facts(self) -> ProbeFacts:
        """Meaning of the read-out: input, crop, joints, targets, typical hand."""
        return self.probe.facts

    @property
    def network(self) -> str:
        """One line about architecture, input and digest."""
        facts = self.facts
        size = f", width {facts.encoder.width}" if facts.encoder.name == "resnet18" else ""
        return (
            f"{facts.encoder.name}{size}, input {facts.encoder.input_px} px, "
            f"{self.encoder.dim} features, {facts.probe} read-out, digest {facts.digest}"
        )

    def views(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the normalised input (B, 3, P, P) for crops uint8 (B, 3, S, S)."""
        view_px = self.facts.encoder.input_px
        return plain_view(crops, view_px=view_px, context=self.facts.context)

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """Return features float32 (B, dim) of normalised views (B, 3, P, P)."""
        with frozen(self.encoder):
            found: torch.Tensor = self.encoder(views).float().cpu()
        return found

    def columns(self, views: torch.Tensor) -> torch.Tensor:
        """Return the 63 columns of the pose, float64 (B, 63), see `handssl.evaluation.targets`."""
        return self.probe.read_out.predict(self.features(views))

    def named(self, card: ModelCard) -> HandModel:
        """Return the same model with another card."""
        return replace(self, card=card)
