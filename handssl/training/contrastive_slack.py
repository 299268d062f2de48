"""Slack of NT-Xent over its floor, which shows whether the contrastive task is trivial."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from handssl.objectives import nt_xent_floor
from handssl.objectives.mixed import CONTRASTIVE
from handssl.training.config import PretrainConfig, is_read

TRIVIAL_NATS = 0.2
"""Below it, what both views of an image share tells it from the others.

Chosen between two runs of an earlier version at 64 pairs and temperature 0.5: 0.14 where both views
share the drawn rotation, 0.67 where everything is drawn for each view.
"""


def contrastive_slack(config: PretrainConfig, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return NT-Xent minus its floor, ln(1 + (2N - 2) exp(-1 / tau)).

    N is the number of pairs of a backward pass, over all ranks.

    Args:
        config: The resolved configuration.
        metrics: Means of an epoch, with the loss of the contrastive term or of all.

    Returns:
        `train/slack` in nats; empty for an objective without a contrastive term.

    Example:
        >>> config = PretrainConfig(global_batch=64)
        >>> round(contrastive_slack(config, {"train/loss": 3.03})["train/slack"], 2)
        0.14
    """
    if not is_read("temperature", config.objective):
        return {}
    loss = metrics.get(f"train/loss/{CONTRASTIVE}", metrics.get("train/loss", 0.0))
    pairs = config.global_batch // config.accumulation
    return {"train/slack": loss - nt_xent_floor(pairs, config.temperature)}


def warn_if_trivial(metrics: Mapping[str, float]) -> None:
    """Log a warning if the contrastive task of an epoch was trivial.

    Args:
        metrics: Means of an epoch.
    """
    slack = metrics.get("train/slack")
    if slack is not None and slack < TRIVIAL_NATS:
        logging.getLogger("handssl").warning(
            "NT-Xent ended %.2f nats above its floor: what both views of an image share tells it "
            "from the others, so little is learned; apply more transformations to each view, or "
            "use a larger global_batch",
            slack,
        )
