"""Encoder interface, and naming and construction of custom encoders."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from handssl.errors import InputError
from handssl.models.latent_maps import MapShape

if TYPE_CHECKING:
    from handssl.models.config import EncoderConfig

OWN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Encoder(nn.Module):
    """A network from images to features.

    Any module with `dim` and such a `forward` is accepted; deriving from this class only informs
    type checkers. After construction, initial weights are drawn from the trial's seed and the name
    of each parameter: values drawn by the constructor are overwritten.

    Attributes:
        dim: Number of features.
        map_shape: If the features are vectorised maps, at least 42 of them: their number, height
            and width; else None.
    """

    dim: int
    map_shape: MapShape | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of normalised images (B, 3, P, P)."""
        raise NotImplementedError


def encoder_name(factory: Callable[..., Any]) -> str:
    """Return the name, for configurations, of a function or class that builds encoders.

    Args:
        factory: Function or class at the top level of a module that every worker can import.

    Raises:
        InputError: It is not at the top level of such a module.

    Example:
        >>> from handssl.models import ResNet18
        >>> encoder_name(ResNet18)
        'handssl.models.resnet:ResNet18'
    """
    module, name = getattr(factory, "__module__", ""), getattr(factory, "__qualname__", "")
    if module in ("", "__main__") or not name.isidentifier():
        raise InputError(
            "encoder: expected a function or class at the top of a module that workers can import, "
            f"got {name or factory!r} of {module or 'no module'}; move it into a separate file"
        )
    return f"{module}:{name}"


def map_shape(encoder: nn.Module) -> MapShape | None:
    """Return the shape of the maps that are an encoder's features, vectorised; None for others.

    Args:
        encoder: A built-in or custom encoder.
    """
    shape: MapShape | None = getattr(encoder, "map_shape", None)
    return shape


def build_custom(config: EncoderConfig) -> Encoder:
    """Build the encoder named by `package.module:factory` and check it on a batch.

    Args:
        config: Configuration passed to the factory.

    Raises:
        InputError: It cannot be imported, or is not an encoder; the message says what is missing.
    """
    module, _, name = config.name.partition(":")
    try:
        factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"encoder {config.name}: expected package.module:factory that can be imported here and "
            f"on every worker: {error}"
        ) from None
    encoder = factory(config)
    dim = getattr(encoder, "dim", None)
    if not isinstance(encoder, nn.Module) or not isinstance(dim, int):
        raise InputError(
            f"encoder {config.name}: expected a torch.nn.Module with an integer `dim`, got "
            f"{type(encoder).__name__} with dim {dim!r}"
        )
    _require_features(cast(Encoder, encoder), config)
    return cast(Encoder, encoder)


def _require_features(encoder: Encoder, config: EncoderConfig) -> None:
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    side, training = config.input_px, encoder.training
    with torch.no_grad():
        found = encoder.eval()(torch.zeros(2, 3, side, side, device=device))
    encoder.train(training)
    if tuple(found.shape) != (2, encoder.dim):
        raise InputError(
            f"encoder {config.name}: expected features (2, {encoder.dim}) of images (2, 3, {side}, "
            f"{side}), got {tuple(found.shape)}"
        )
