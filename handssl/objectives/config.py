"""Names and options of the objectives."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from handssl.config import Config

ObjectiveName = Literal["contrastive", "relative", "mixed", "equivariant", "supervised"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
MixedPairs = Literal["split", "joint"]
Weighting = Literal["learned", "learned_from_loss", "log_sum", "fixed"]
Inversion = Literal["exact", "published"]


class FinetuneConfig(Config):
    """Fine-tuning: the objective `supervised` on part of the labels, measured by its own head.

    With the rates of the layers (`optimizer.layer_decay`) and the initial weights (`init`) this is
    end to end training, or a linear layer on a frozen encoder. When the labelled images are used
    more than once in an epoch, each time has its own views.

    Attributes:
        labels: Share of the labels of `probe` that is used, by training and by the ridge probe;
            drawn with the trial's seed, so that a smaller share is part of a larger one.
        readout: Predictions by which the trial is measured and which are kept: those of the head
            trained with the encoder (`end_to_end`), or of the `probe` fitted to its features with
            the same labels. The errors of both are recorded.

    Example:
        >>> FinetuneConfig.parse({"labels": 0}, where="finetune")
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: 1 mistake in finetune:
          labels: should be greater than 0 (got 0)
    """

    labels: Annotated[float, Field(gt=0, le=1)] = 1.0
    readout: Literal["end_to_end", "probe"] = "end_to_end"


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
