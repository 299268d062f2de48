"""Leak test: measure how much of theta can be predicted from artefacts of one view.

A relative objective learns theta_b - theta_a from two views. If one view alone reveals theta (a
border that rotates with the image, noise softened by an amount that depends on the angle), the
objective can be solved without the hand.
"""

from __future__ import annotations

from typing import get_args

import torch

from handssl.data.crops import CONTEXT, CROP_PX
from handssl.errors import InputError
from handssl.transforms.backends import Backend, make_views
from handssl.transforms.config import REGRESSABLE, AugmentConfig, Border
from handssl.transforms.leakage_features import FEATURES, Readout
from handssl.transforms.leakage_images import Images, crops_without_cues

LIMIT_R2 = 0.05
"""Largest share of theta's variance that a read-out may explain: five percent."""

_FOLDS = 3
_FARTHEST = 10.0  # standard deviations
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
    """Return how well a ridge regression predicts theta from one view of images without cues.

    R2 = 1 - sum (theta - predicted)^2 / sum (theta - mean)^2 on held-out views, averaged over the
    parameters of the transformation. The result is the best R2 of theta, of its distance from the
    middle of its range, and of that folded twice more. About 0 without a leak, at most 1.

    Args:
        transformation: One of `REGRESSABLE`.
        border: Content outside the stored crop; replaces the one of `config`.
        images: Kind of images, see `crops_without_cues`.
        readout: `pixels`; or, not linear in pixels, `structure`: edges and directions of the view
            at 32 x 32; or `statistics` at full resolution, which also detect resampling.
        config: Ranges; default: the documented ones.
        context: Side of the stored crop in box sides.
        crop_px: Side of the stored crop in pixels.
        view_px: Side of a view in pixels.
        source_share: Share of the crop that its source covers, in (0, 1].
        count: Number of views; half of them fit, half are predicted.
        seed: Seed of images and draws.
        backend: Backend that makes the views.

    Raises:
        InputError: The transformation has no theta to predict, or an argument is out of range.

    Example:
        >>> size = {"crop_px": 48, "view_px": 32, "count": 200}
        >>> leak("rotate", border="reflect", images="constant", **size) < LIMIT_R2
        True
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
    """Return the held-out R2 of a ridge regression from views to theta, as defined by `leak`.

    The ridge is fitted on the first half of the views; its penalty is selected from a grid by
    leave-one-out cross-validation in closed form.

    Args:
        views: float (B, C, P, P), B at least 4.
        theta: (B, k), parameters of each view.
        readout: From `handssl.transforms.leakage_features`.

    Raises:
        InputError: The read-out is unknown, or there are too few views.
    """
    if readout not in get_args(Readout):
        raise InputError(f"readout must be one of {', '.join(get_args(Readout))}, got {readout!r}.")
    if len(views) < 4:
        raise InputError(f"expected at least 4 views to fit and predict, got {len(views)}.")
    parts = [FEATURES[readout](part.mean(1, keepdim=True)) for part in torch.split(views, 128)]
    features, theta = torch.cat(parts).double(), theta.double()
    # Softness reveals how far a view was rotated, not in which direction; a square border reveals
    # the angle up to quarter turns. Hence theta is folded repeatedly at the middle of its range.
    folds = [theta]
    for _ in range(_FOLDS):
        folds.append((folds[-1] - (folds[-1].amax(0) + folds[-1].amin(0)) / 2).abs())
    folded = _held_out_r2(features, torch.cat(folds, dim=1))
    return float(folded.reshape(1 + _FOLDS, -1).amax(0).mean())


def _held_out_r2(features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Fit on the first half, return the R2 of each target on the second."""
    fit = len(features) // 2
    centre, spread = features[:fit].mean(0), features[:fit].std(0) + 1e-9
    # A feature that is constant in one half but not in the other would be divided by almost 0.
    x = ((features - centre) / spread).clamp(-_FARTHEST, _FARTHEST)
    mean = targets[:fit].mean(0)
    predicted = mean + x[fit:] @ (x[:fit].T @ _dual_weights(x[:fit], targets[:fit] - mean))
    residual = (predicted - targets[fit:]).square().sum(0)
    return 1.0 - residual / (targets[fit:] - targets[fit:].mean(0)).square().sum(0)


def _dual_weights(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return (x x' + penalty)^-1 y, each column with its best penalty by leave-one-out error.

    A left-out row's error is its residual divided by one minus its leverage.
    """
    values, u = torch.linalg.eigh(x @ x.T)
    projected, values = u.T @ y, values.clamp(min=0.0)[:, None]
    best, weights = torch.full_like(y[:1], torch.inf), torch.zeros_like(y)
    for penalty in _PENALTIES:
        inverse = 1.0 / (values + penalty * len(x))
        leverage = u.square() @ (values * inverse) + 1.0 / len(x)
        dual = u @ (inverse * projected)
        # The residual of a ridge is its penalty times its dual weights.
        left_out = penalty * len(x) * dual / (1.0 - leverage)
        error = left_out.square().mean(0, keepdim=True)
        best, weights = torch.minimum(best, error), torch.where(error < best, dual, weights)
    return weights
