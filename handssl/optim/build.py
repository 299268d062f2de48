"""Build optimizers by name, each as a chain of small steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from handssl.config import nearest
from handssl.errors import InputError
from handssl.optim.chain import ChainOptimizer
from handssl.optim.config import DEFAULTS, LarsPreset
from handssl.optim.moments import AdamMoments, Momentum
from handssl.optim.steps import (
    ClipByRate,
    Decay,
    MeasureNorms,
    Scale,
    Step,
    TrustRatio,
)


def build(
    name: str, parameters: list[dict[str, Any]], *, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """Return the optimizer with a name.

    Args:
        name: `adam`, `adam_larc`, `lars` or `lamb`.
        parameters: Parameter groups from `decay_groups`.
        lr: Learning rate at the peak of the schedule.
        options: Options of the optimizer, see `OptimizerConfig`; missing ones have their defaults.

    Returns:
        torch's Adam, or a `ChainOptimizer`.

    Raises:
        InputError: The optimizer is unknown, or does not have an option.
    """
    if name not in DEFAULTS:
        raise InputError(f"unknown optimizer {name!r}{nearest(name, DEFAULTS)}")
    for option in set(options) - set(DEFAULTS[name]):
        raise InputError(f"{name} does not read {option!r}{nearest(option, DEFAULTS[name])}")
    chosen = {**DEFAULTS[name], **options}
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, foreach=True, **chosen)
    return ChainOptimizer(parameters, _CHAINS[name](**chosen), lr=lr)


def adam_larc_chain(
    *, betas: tuple[float, float], eps: float, trust_coefficient: float
) -> list[Step]:
    """Return LARC before Adam: u = (g + wd w) min(eta |w| / (|g| + wd |w| + eps) / lr, 1).

    As published, a tensor with |w| or |g| of 0 is neither decayed nor scaled.

    Args:
        betas: Decay rates of the means of u and u^2.
        eps: Added to Adam's root; the one in the ratio's denominator is 1e-8.
        trust_coefficient: Trust coefficient eta.
    """
    return [
        MeasureNorms(),
        TrustRatio(trust_coefficient, eps=1e-8, decay_below=True),
        ClipByRate(),
        Decay(skip_still=True),
        Scale(),
        AdamMoments(betas, eps),
    ]


def lars_chain(*, momentum: float, trust_coefficient: float, preset: LarsPreset) -> list[Step]:
    """Return LARS: v <- mu v + lr r (g + wd w), w <- w - v; the buffer includes the rate.

    r = eta |w| / (|g| + wd |w|) in `paper`, eta |w| / |g + wd w| in `large_batch`; 1 if a norm is 0
    and for tensors that are not adapted.

    Args:
        momentum: Momentum mu.
        trust_coefficient: Trust coefficient eta.
        preset: `paper` or `large_batch`.

    Reference:
        Y. You, I. Gitman, B. Ginsburg, "Large batch training of convolutional networks", 2017,
        Algorithm 1. `large_batch`: T. Chen et al., "A simple framework for contrastive learning of
        visual representations", ICML 2020, released code.
    """
    if preset == "large_batch":
        head: list[Step] = [Decay(), MeasureNorms(), TrustRatio(trust_coefficient)]
    else:
        head = [MeasureNorms(), TrustRatio(trust_coefficient, decay_below=True), Decay()]
    return [*head, Scale(), Momentum(momentum)]


def lamb_chain(*, betas: tuple[float, float], eps: float) -> list[Step]:
    """Return LAMB: u = m / (sqrt(v) + eps) + wd w, w <- w - lr (|w| / |u|) u.

    The ratio is 1 if a norm is 0 and for tensors that are not adapted.

    Args:
        betas: Decay rates of the means of g and g^2.
        eps: Added to the root.

    Reference:
        Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes",
        ICLR 2020, Algorithm 2, phi the identity.
    """
    return [AdamMoments(betas, eps), Decay(), MeasureNorms(), TrustRatio(1.0), Scale()]


def trust_metrics(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the trust ratios of the last update; waits for the device once.

    Args:
        optimizer: Any optimizer; one without trust ratios returns none.

    Returns:
        train/trust/min, median, max and, if the optimizer clips, clipped.
    """
    if not isinstance(optimizer, ChainOptimizer):
        return {}
    found: dict[str, Tensor] = optimizer.trust_statistics()
    if not found:
        return {}
    values = cast(list[float], torch.stack(list(found.values())).tolist())
    return {f"train/trust/{name}": value for name, value in zip(found, values, strict=True)}


_CHAINS: dict[str, Callable[..., list[Step]]] = {
    "adam_larc": adam_larc_chain,
    "lars": lars_chain,
    "lamb": lamb_chain,
}
