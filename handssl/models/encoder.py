"""What an encoder has to be, and how one that is not ours is named and built."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.models.config import EncoderConfig

OWN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Encoder(nn.Module):
    """A network from images to features.

    Any module that has `dim` and such a `forward` will do; deriving from this class only tells
    type checkers. Initial weights are drawn by the name of each parameter, from the trial's seed,
    after the module was built: what its constructor draws is overwritten.

    Attributes:
        dim: Number of features.
    """

    dim: int

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of normalised images (B, 3, P, P)."""
        raise NotImplementedError


def encoder_name(factory: Callable[..., Any]) -> str:
    """Return the name under which configurations know a function or class that builds encoders.

    Args:
        factory: At the top of a module that every worker can import.

    Raises:
        InputError: It has no such place.

    Example:
        >>> from handssl.models import ResNet18
        >>> encoder_name(ResNet18)
        'handssl.models.resnet:ResNet18'
    """
    module, name = getattr(factory, "__module__", ""), getattr(factory, "__qualname__", "")
    if module in ("", "__main__") or not name.isidentifier():
        raise InputError(
            "encoder: expected a function or class at the top of a module that workers can import, "
            f"got {name or factory!r} of {module or 'no module'}; move it into a file of its own"
        )
    return f"{module}:{name}"


def build_own(config: EncoderConfig) -> Encoder:
    """Build the encoder that a name as `package.module:factory` stands for, and try it.

    Args:
        config: Given to the factory.

    Raises:
        InputError: It cannot be imported, or is no encoder; the message says what is missing.
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
