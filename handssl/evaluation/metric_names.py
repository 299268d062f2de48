"""Table of all metric names written to MLflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from handssl.pose import ALIGNED_PROTOCOL

# The measure that trials are compared by: median error on `select`, in mm.
PRIMARY_METRIC = "median_mm"
# The measure shown beside it: the same after Procrustes alignment, without orientation and size.
ALIGNED_METRIC = "aligned_median_mm"
# MLflow sorts charts by the part before the last slash, capitals first: this one is the first.
ERROR_SECTION = "Error"
# MLflow sorts the charts of a section by name, so an aligned median would come before the primary.
_CHARTED_FIRST = (PRIMARY_METRIC, "mpje_mm")
# A placeholder in a pattern, which stands for one part between slashes or a word.
_PLACEHOLDER = re.compile(r"<[a-z ]+>")


@dataclass(frozen=True)
class Name:
    """A metric or a family of metrics.

    Attributes:
        pattern: Name with placeholders in angle brackets.
        unit: Unit of its values; empty if dimensionless.
        meaning: Description in words.
        on: Kinds of runs that have it.
    """

    pattern: str
    unit: str
    meaning: str
    on: str = "trial"


_ERROR = "primary measure: median error on `select`; for a cell its mean over blocks"
_ALIGNED = f"median error on `select` after Procrustes alignment (`{ALIGNED_PROTOCOL}`)"
_TRUST = "trust ratios of the last update, without the rate: min, median, max, share clipped"
METRICS: tuple[Name, ...] = (
    Name(PRIMARY_METRIC, "mm", _ERROR, "trial, cell"),
    Name("mpje_mm", "mm", "mean of the same errors", "trial, cell"),
    Name("test_median_mm", "mm", "primary measure on `test`, once at the end", "trial, cell"),
    Name("test_mpje_mm", "mm", "mean of the same errors", "trial, cell"),
    Name(ALIGNED_METRIC, "mm", _ALIGNED, "trial, cell"),
    Name(f"test_{ALIGNED_METRIC}", "mm", "the same on `test`, once at the end", "trial, cell"),
    Name(
        f"{ERROR_SECTION}/<measure>",
        "mm",
        "`median_mm` and `mpje_mm` again, for the first charts of the page",
    ),
    Name("diverged", "", "1 at the epoch in which a loss or gradient was not finite"),
    Name("train/loss", "", "the minimised loss"),
    Name("train/loss/<term>", "", "its terms: a transformation, `contrastive`, `uv` or `z`"),
    Name("train/sigma/<term>", "", "weight of a term in Eq. 3"),
    Name("train/slack", "nats", "NT-Xent minus its floor; near 0 the contrastive task is trivial"),
    Name("train/lr", "", "learning rate of the last update"),
    Name("train/trust/<statistic>", "", _TRUST),
    Name("train/gradient_norm", "", "mean Euclidean norm over the epoch"),
    Name("train/views_per_s", "views/s", "views encoded per second, training only"),
    Name("train/views_per_step", "views", "encoded per update"),
    Name("train/encoder_views", "views", "encoded so far"),
    Name("train/data_s", "s", "time of the epoch spent waiting for data"),
    Name("time/epoch_s", "s", "total time of the epoch"),
    Name("time/device_s", "s", "the same, times the number of the trial's GPUs (or cores)"),
    Name("ridge/lambda_exponent", "", "chosen regularisation of the probe"),
    Name("<probe>/<protocol>/<statistic>", "mm, px", "error on `select` under a protocol"),
    Name("test/<probe>/<protocol>/<statistic>", "mm, px", "the same on `test`, once at the end"),
    Name("diag/<diagnostic>/<transformation>", "", "diagnostics, see docs/measures.md"),
    Name("system/<reading>", "", "load of the machine; its step counts samples"),
    Name("blocks_completed", "", "number of seeds completed", "cell"),
    Name("blocks_planned", "", "number of seeds planned", "cell"),
    Name("epoch", "", "mean of the last epochs of its trials", "cell"),
    Name("median_mm_min", "mm", "minimum over completed blocks", "cell"),
    Name("median_mm_max", "mm", "maximum over completed blocks", "cell"),
    Name("median_mm_sd", "mm", "standard deviation over completed blocks", "cell"),
    Name("updates", "", "version counter of the cell's metrics", "cell"),
)


def name_of(metric: str) -> Name | None:
    """Return the entry that matches a metric, None if the table lacks it.

    Example:
        >>> name_of("train/loss/rotate").pattern, name_of("loss of rotate")
        ('train/loss/<term>', None)
    """
    return next((name for name in METRICS if _expression(name.pattern).fullmatch(metric)), None)


def aligned_mm(metrics: Mapping[str, float], *, test: bool = False) -> float | None:
    """Return the median error after Procrustes alignment in mm; None if it was not measured.

    Args:
        metrics: Metrics of a trial or a reference.
        test: Whether to return that on `test` instead of `select`.

    Example:
        >>> aligned_mm({"aligned_median_mm": 27.5}), aligned_mm({"ridge/pa_21/median_mm": 28.0})
        (27.5, 28.0)
    """
    name = f"test_{ALIGNED_METRIC}" if test else ALIGNED_METRIC
    if name in metrics:
        return metrics[name]
    # Results of handssl 0.1 have it under its protocol alone, after the name of the probe.
    parts = ["test"] * test + ["[^/]+", ALIGNED_PROTOCOL, "median_mm"]
    pattern = re.compile("/".join(parts))
    return next((value for one, value in metrics.items() if pattern.fullmatch(one)), None)


def charted_first(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the errors under names with which MLflow's page shows them before all others.

    Args:
        metrics: Metrics of an epoch.

    Example:
        >>> charted_first({"median_mm": 21.5, "train/loss": 0.5})
        {'Error/median_mm': 21.5}
    """
    return {f"{ERROR_SECTION}/{name}": metrics[name] for name in _CHARTED_FIRST if name in metrics}


def markdown() -> str:
    """Return the table as it appears in the documentation."""
    lines = ["| metric | unit | runs | what |", "| --- | --- | --- | --- |"]
    lines += [f"| `{n.pattern}` | {n.unit} | {n.on} | {n.meaning} |" for n in METRICS]
    return "\n".join(lines)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = map(re.escape, _PLACEHOLDER.split(pattern))
    return re.compile("[^/]+".join(parts))
