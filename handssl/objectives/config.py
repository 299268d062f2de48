"""Names and options of the objectives."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import model_validator

from handssl.config import Config

ObjectiveName = Literal["contrastive", "relative", "mixed", "equivariant", "supervised"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
MixedPairs = Literal["split", "joint"]
Weighting = Literal["learned", "learned_from_loss", "log_sum", "fixed"]
Inversion = Literal["exact", "published"]


class EquivariantConfig(Config):
    """Options of the objective `equivariant`.

    Attributes:
        inversion: `exact` inverts the views; `published` applies the steps of PeCLR, in its order.
    """

    inversion: Inversion = "exact"


class RelativeConfig(Config):
    """Options of Eq. 2 and 3, used by the objectives `relative` and `mixed`.

    Attributes:
        norm: Norm of the error in Eq. 2: mean absolute error over parameters (`l1`), or mean
            Euclidean length (`l2`).
        order: Predict theta_b - theta_a and its negative from the swapped pair (`both`), or only
            the first (`one`).
        weighting: `learned` is Eq. 3 with log sigma from 0; `learned_from_loss` starts log sigma
            at the log of the first loss, its optimum, so that weights don't depend on the number of
            updates; `log_sum` is the sum of log L_k, the minimum of Eq. 3 over sigma; `fixed` gives
            every transformation the weight 1, so the normalisation of the targets determines their
            influence.
        targets: `normalised`, signed, wrapped and in units of their range; `between_views`, the
            same of the map from the first view to the second, which two views determine (see
            `between_views_target`); or `published`, the targets of the published code (see
            `published_target`), which have only one order.
    """

    norm: Literal["l1", "l2"] = "l1"
    order: Literal["both", "one"] = "both"
    weighting: Weighting = "learned"
    targets: Literal["normalised", "between_views", "published"] = "normalised"

    @model_validator(mode="after")
    def _has_an_order(self) -> Self:
        if self.targets == "published" and self.order == "both":
            raise ValueError("targets 'published' have no negative: order must be 'one'")
        return self
