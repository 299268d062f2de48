"""Options of a probe, and the names of its results."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field

from handssl.config import Config
from handssl.pose.crop_rules import BoxSource
from handssl.pose.protocol_ids import BOX_SUFFIXES

Rate = Annotated[float, Field(gt=0, le=1)]


class ProbeConfig(Config):
    """A probe and the conditions of its fit.

    `sgd` is the paper's: Adam on L1(uv) + 5 L1(z), uv in pixels of a 128 px box. Every point of its
    grid is trained, as one batched model, and the one with the smallest primary error on `select`
    is chosen. The published code leaves the encoder's BatchNorm in training mode during the fit;
    here it is frozen.

    Attributes:
        name: `ridge`, closed form; `sgd`; or `head`, the heatmap head of Sec. 4.5, for encoders
            with maps.
        augmentation: `off` fits on untransformed images; `geometric` adds views that are
            translated, rotated and scaled together with their labels.
        views: `geometric`: number of views of every image besides the untransformed one.
        lr: `sgd`: learning rates of the grid, each decaying to 0 as half a cosine.
        weight_decay: `sgd`: coupled weight decays of the grid.
        epochs: `sgd`: number of passes over `probe`.
        batch: `sgd`: number of images of one update.
        seed: Seed of the order of samples and of the views; equal for every arm.
    """

    name: Literal["ridge", "sgd", "head"] = "ridge"
    augmentation: Literal["off", "geometric"] = "off"
    views: Annotated[int, Field(ge=1, le=64)] = 4
    lr: tuple[Rate, ...] = (1e-4, 5e-4, 2.5e-3)
    weight_decay: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.0, 2e-4)
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    batch: Annotated[int, Field(ge=1, le=65_536)] = 128
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def suffix(self, boxes: BoxSource) -> str:
        """Return the suffix of every protocol id for the conditions.

        It is empty for a fit without views on boxes of the joints' extent, which all results had
        before there was a choice.

        Args:
            boxes: Source of the crop boxes: `published`, `extent` or `detector`.

        Example:
            >>> ProbeConfig().suffix("extent"), ProbeConfig().suffix("published")
            ('', '_boxpub')
            >>> ProbeConfig(augmentation="geometric").suffix("detector")
            '_aug_boxdet'
        """
        fitted = "" if self.augmentation == "off" else "_aug"
        return fitted + BOX_SUFFIXES[boxes]


def cross_probe_id(trial_id: str, fitted: str, evaluated: str, protocol: str) -> str:
    """Return the id of a probe that is fitted on one dataset and evaluated on another.

    Args:
        trial_id: Id of the encoder's trial.
        fitted: Fingerprint of the data that the probe is fitted and chosen on.
        evaluated: Fingerprint of the data that it is evaluated on.
        protocol: How the layer is obtained: `linear_probe` or `own_layer`.

    Returns:
        16 hexadecimal characters.

    Example:
        >>> one = cross_probe_id("a", "b", "c", "linear_probe")
        >>> one == cross_probe_id("a", "c", "b", "linear_probe")
        False
    """
    text = json.dumps(["cross", trial_id, fitted, evaluated, protocol])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def probe_id(trial_id: str, data_fingerprint: str, config: ProbeConfig) -> str:
    """Return the id of a probe's result, determined by encoder, labelled data and options.

    A new probe of a known encoder never pretrains again.

    Args:
        trial_id: Id of the encoder's trial.
        data_fingerprint: Fingerprint of the labelled data.
        config: Options of the probe.

    Returns:
        16 hexadecimal characters.

    Example:
        >>> probe_id("a", "b", ProbeConfig()) == probe_id("a", "b", ProbeConfig(name="sgd"))
        False
    """
    content = {"trial": trial_id, "data": data_fingerprint, "probe": config.model_dump(mode="json")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
