"""Names and options of the objectives."""

from __future__ import annotations

from typing import Literal, get_args

from handssl.config import Config

ObjectiveName = Literal["contrastive", "relative", "mixed", "equivariant", "supervised"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
MixedPairs = Literal["split", "joint"]
Weighting = Literal["learned", "fixed"]


class RelativeConfig(Config):
    """Options of Eq. 2 and 3, read by the objectives `relative` and `mixed`.

    Attributes:
        norm: Of the error in Eq. 2: mean absolute error over parameters, or mean Euclidean length.
        order: Predict theta_b - theta_a and its negative from the swapped pair, or the first alone.
        weighting: `learned` is Eq. 3; `fixed` gives every transformation the weight 1, so targets
            in units of their range decide what counts.
    """

    norm: Literal["l1", "l2"] = "l1"
    order: Literal["both", "one"] = "both"
    weighting: Weighting = "learned"
