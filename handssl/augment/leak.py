"""Leak test: does the making of one view tell its theta, whatever the image shows?

A relative objective learns theta_b - theta_a from two views. Where one view alone gives theta away
(a border that turns with the image, noise softened by an amount that depends on the angle), the
objective is solved without looking at the hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F  # noqa: N812

from handssl.augment.backends import Backend, make_views
from handssl.augment.config import REGRESSABLE, AugmentConfig, Border
from handssl.augment.leak_images import Images, crops_without_cues
from handssl.data.crops import CONTEXT, CROP_PX
from handssl.errors import InputError

Readout = Literal["pixels", "statistics"]
LIMIT_R2 = 0.05
"""What a read-out may know of theta: five percent of its variance."""

_PIXELS, _CELLS, _LEVELS = 16, 4, 3
_EPS = 1e-6  # far below the square of one grey level
_PENALTIES = [10.0 ** (power / 2) for power in range(-8, 13)]


def leak(
    transformation: str,
    *,
    border: Border,
    images: Images = "isotropic",
    readout: Readout = "pixels",
    config: AugmentConfig | None = None,
    context: float = CONTEXT,
    crop_px: int = CROP_PX,
    view_px: int = 128,
    source_share: float = 1.0,
    count: int = 1000,
    seed: int = 0,
    backend: Backend = "auto",
) -> float:
    """Return how much of theta a ridge reads from one view of images without cues.

    R2 = 1 - sum (theta - predicted)^2 / sum (theta - mean)^2 on views the ridge was not fitted
    on, averaged over the parameters of the transformation; about 0 without a leak, 1 at most.

    Args:
        transformation: One of `REGRESSABLE`.
        border: What lies outside the stored crop; replaces the one of `config`.
        images: From `crops_without_cues`.
        readout: `pixels`, or `statistics` of fine structure, which are not linear in pixels.
        config: Ranges; default: the documented ones.
        context: Side of the stored crop in box sides.
        crop_px: Side of the stored crop.
        view_px: Side of a view.
        source_share: Share of the crop that its source covers, in (0, 1].
        count: Views; half of them fit, half are predicted.
        seed: Of images and draws.
        backend: What makes the views.

    Raises:
        InputError: The transformation has no theta to read, or an argument is out of range.

    Example:
        >>> leak("rotate", border="reflect", images="constant", crop_px=48, view_px=32, count=60)
        0.0
    """
    if transformation not in REGRESSABLE:
        raise InputError(
            f"expected a transformation with parameters to read ({', '.join(REGRESSABLE)}), "
            f"got {transformation!r}."
        )
    ranges = (config or AugmentConfig()).model_copy(update={"border": border})
    crops, _ = crops_without_cues(
        images, count, crop_px=crop_px, source_share=source_share, seed=seed
    )
    maker = make_views(
        ranges, (transformation,), seed=seed, view_px=view_px, context=context, backend=backend
    )
    view = maker(crops, torch.arange(count), epoch=1, view=0)
    return read_out(view.images, view.theta[transformation][:, 1:], readout)


def read_out(views: torch.Tensor, theta: torch.Tensor, readout: Readout) -> float:
    """Return the held-out R2 of a ridge from views to theta, the mean over the parameters.

    The first half of the views fits the ridge; its penalty is the best of a grid by leaving out
    one view at a time, in closed form.

    Args:
        views: float (B, C, P, P), B at least 4.
        theta: (B, k), what one view each was made with.
        readout: `pixels`: the grey view averaged to 16 x 16; `statistics`: log energies and
            correlations of derivatives of first and second order, at three scales in 4 x 4 cells.

    Raises:
        InputError: There is no such read-out, or there are too few views.
    """
    if readout not in get_args(Readout):
        raise InputError(f"readout must be one of {', '.join(get_args(Readout))}, got {readout!r}.")
    if len(views) < 4:
        raise InputError(f"expected at least 4 views to fit and predict, got {len(views)}.")
    parts = [_FEATURES[readout](part.mean(1, keepdim=True)) for part in views.split(128)]
    features, targets = torch.cat(parts).double(), theta.double()
    fit = len(views) // 2
    predicted = _ridge(features[:fit], targets[:fit], features[fit:])
    residual = (predicted - targets[fit:]).square().sum(0)
    total = (targets[fit:] - targets[fit:].mean(0)).square().sum(0)
    return float((1.0 - residual / total).mean())


def _ridge(x: torch.Tensor, y: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Predict y for new rows with the penalty that predicts each left-out row best."""
    centre, spread, mean = x.mean(0), x.std(0) + 1e-9, y.mean(0)
    u, values, vt = torch.linalg.svd((x - centre) / spread, full_matrices=False)
    projected = u.T @ (y - mean)
    best, chosen = float("inf"), torch.zeros_like(values)
    for penalty in _PENALTIES:
        shrink = values.square() / (values.square() + penalty * len(x))
        leverage = u.square() @ shrink + 1.0 / len(x)
        left_out = (y - mean - u @ (shrink[:, None] * projected)) / (1.0 - leverage)[:, None]
        error = float((left_out.square().mean(0) / y.var(0)).sum())
        if error < best:
            best, chosen = error, values / (values.square() + penalty * len(x))
    return mean + (new - centre) / spread @ (vt.T @ (chosen[:, None] * projected))


def _pixels(grey: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(grey, _PIXELS).flatten(1)


def _statistics(grey: torch.Tensor) -> torch.Tensor:
    """Return energies and correlations of derivatives; they see sharpness and direction."""
    features = []
    for _ in range(_LEVELS):
        d = F.conv2d(grey, _DERIVATIVES.to(grey))
        energies = F.adaptive_avg_pool2d(d.square(), _CELLS) + _EPS
        features.append(energies.log())
        for one, other in _PAIRS:
            product = F.adaptive_avg_pool2d(d[:, one] * d[:, other], _CELLS)
            features.append((product / (energies[:, one] * energies[:, other]).sqrt())[:, None])
        grey = F.avg_pool2d(grey, 2)
    return torch.cat([feature.flatten(1) for feature in features], dim=1)


def _derivative_kernels() -> torch.Tensor:
    """Return d/dx, d/dy, d2/dx2, d2/dy2, d2/dxdy as (5, 1, 3, 3)."""
    point, slope = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([-0.5, 0.0, 0.5])
    bend = torch.tensor([1.0, -2.0, 1.0])
    pairs = ((point, slope), (slope, point), (point, bend), (bend, point), (slope, slope))
    return torch.stack([torch.outer(down, across) for down, across in pairs])[:, None]


_DERIVATIVES = _derivative_kernels()
# Products that, with the squares, tell how energy is spread over directions, to the fourth order.
_PAIRS = ((0, 1), (2, 3), (2, 4), (3, 4))
_FEATURES: dict[Readout, Callable[[torch.Tensor], torch.Tensor]] = {
    "pixels": _pixels,
    "statistics": _statistics,
}
