"""Measure whether relative heads read each view alone, where they should compare two views."""

from __future__ import annotations

import torch

from handssl.evaluation.diagnostics.passes import EncodedView
from handssl.evaluation.diagnostics.readout import wrapped_r2
from handssl.evaluation.features import frozen
from handssl.objectives import RelativeLoss
from handssl.transforms import LinearInterval


def head_measures(
    heads: RelativeLoss, transformation: str, first: EncodedView, second: EncodedView
) -> dict[str, float]:
    """Return how well a trained head predicts its target on pairs of equal and different images.

    R2 = 1 - sum of squared residuals / that about the mean. `leak` pairs view a of image i with
    view b of image j, the image half of all images further on; the target is that of theta_a of i
    and theta_b of j.

    A head that needs the same hand in both views answers with the mean: 0. A head that takes
    differences between two hands for the transformation is below 0. A head that reads theta off
    each view, from a trace of resampling, is as good as on equal images: `head_r2`. The same is
    true of a head that reads the pose against the usual one, if hands of a dataset are alike (all
    upright, all centred); compare with a run with `view_blur_px`, whose leak is this part alone.

    Args:
        heads: The trained heads.
        transformation: One of their transformations, the only enabled one.
        first: First views of the images, at least two.
        second: Second views of the same images.

    Returns:
        head_r2 and leak, each at most 1.
    """
    count = len(first.features)
    other = torch.arange(count).roll(max(1, count // 2))
    return {
        "head_r2": _r2(heads, transformation, first, second),
        "leak": _r2(heads, transformation, first, _rows(second, other)),
    }


def _rows(view: EncodedView, rows: torch.Tensor) -> EncodedView:
    theta = {name: parameters[rows] for name, parameters in view.theta.items()}
    return EncodedView(view.features[rows], theta, view.matrix[rows])


def _r2(heads: RelativeLoss, name: str, first: EncodedView, second: EncodedView) -> float:
    weight = next(heads.parameters())
    with frozen(heads):
        h_a, h_b = (view.features.to(weight) for view in (first, second))
        predicted = heads.heads[name](h_a, h_b).cpu()
    theta_a, theta_b = (view.theta[name][:, 1:].double() for view in (first, second))
    target = heads.target(name, theta_a, theta_b, (first.matrix.double(), second.matrix.double()))
    ranges = tuple(heads.ranges[name])
    if heads.options.targets == "published":  # in raw units, nothing wrapped
        ranges = tuple(LinearInterval(low=0.0, high=1.0) for _ in ranges)
    return wrapped_r2(predicted, target, name, ranges)
