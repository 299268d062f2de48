"""References: results without self-supervised training, as they are recorded and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["mean_pose", "mean_pose_true_angle", "rgb_ridge", "hog_ridge", "random_encoder"]
ProbeKind = Literal["linear_probe", "own_layer"]
"""Kinds of a probe of another trial's encoder: a ridge on it, or the layer trained with it."""
PROBES: tuple[ProbeKind, ...] = ("linear_probe", "own_layer")
SUPERVISED = "supervised"
"""Label of the reference that is trained, an ordinary trial."""
REFERENCE_OBJECTIVES = ("reference", "supervised")
"""Objectives of what is compared with; every other objective is self-supervised."""


@dataclass(frozen=True)
class Reference:
    """A reference that is not trained.

    Attributes:
        kind: Its kind, part of the identity of its result.
        label: Its name in tables and runs.
        reads: Dotted names of the pretraining settings that its result depends on; without `seed`
            it is computed once for all blocks.
    """

    kind: Kind
    label: str
    reads: tuple[str, ...] = ()

    @property
    def per_block(self) -> bool:
        """Whether each block has a result of its own."""
        return "seed" in self.reads

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a configuration that the result depends on.

        Args:
            values: Nested values of a pretraining configuration.

        Example:
            >>> Reference("hog_ridge", "HOG ridge", ("encoder.input_px",)).read(
            ...     {"encoder": {"width": 16, "input_px": 64}, "seed": 3}
            ... )
            {'encoder': {'input_px': 64}}
        """
        found: dict[str, Any] = {}
        for dotted in self.reads:
            name, _, inner = dotted.partition(".")
            if name in values:
                found[name] = {inner: values[name][inner]} if inner else values[name]
        return found


MEAN_POSE = Reference("mean_pose", "mean pose")
TRUE_ANGLE = Reference("mean_pose_true_angle", "true-angle oracle")
RGB_RIDGE = Reference("rgb_ridge", "RGB ridge 16x16", ("encoder.input_px",))
HOG_RIDGE = Reference("hog_ridge", "HOG ridge", ("encoder.input_px",))
RANDOM_ENCODER = Reference("random_encoder", "random encoder", ("encoder", "init", "seed"))
UNTRAINED = (MEAN_POSE, TRUE_ANGLE, RGB_RIDGE, HOG_RIDGE, RANDOM_ENCODER)
"""The references that are not trained, in the order of a plan."""


def reference_of(label: str) -> Reference | None:
    """Return the untrained reference with this label; None if there is none.

    Example:
        >>> reference_of("HOG ridge").kind
        'hog_ridge'
    """
    return next((one for one in UNTRAINED if one.label == label), None)
