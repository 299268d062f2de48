"""Views of an experiment on MLflow's page: filter, order, columns and charts, stored as tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from handssl.evaluation.metric_names import ALIGNED_METRIC, PRIMARY_METRIC

# The kind of experiment, for lists and for versions of MLflow whose pages follow it.
KIND = {"mlflow.experimentKind": "custom_model_development"}
# Prefix of the tags in which MLflow's page keeps saved views.
_TAG = "mlflow.sharedViewState."
# The metric that MLflow's page takes as the first one.
_PRIMARY = {"mlflow.experiment.primaryMetric.name": PRIMARY_METRIC}
_NOTE = "mlflow.note.content"
_LISTED = (
    "Names begin with median / mean error on `select` in mm. All errors, best first: "
    "[cells]({cells}) (means over seeds), [trials]({trials}), [curves]({curves})."
)
# Without it a browser that has not chosen "Model training" before shows pages for language models;
# MLflow 3.17 ignores the tag `mlflow.experimentKind` here.
_TRAINING = {"workflowType": "machine_learning"}
_ERRORS = (
    *(PRIMARY_METRIC, f"{PRIMARY_METRIC}_sd", "mpje_mm", ALIGNED_METRIC),
    *(f"test_{PRIMARY_METRIC}", "test_mpje_mm", f"test_{ALIGNED_METRIC}"),
)
_CHARTED = (PRIMARY_METRIC, "mpje_mm", f"test_{PRIMARY_METRIC}")
_CURVES = (PRIMARY_METRIC, "mpje_mm")


@dataclass(frozen=True)
class View:
    """A saved view of the runs of an experiment, best run first.

    Attributes:
        key: Key in the page's address, and end of the tag's name.
        name: Name in MLflow's list of saved views.
        filter: MLflow's filter of runs.
        tags: Tags shown as columns, after the errors.
        chart: Kind of the charts shown first, `BAR` or `LINE`.
        charted: Metrics of these charts.
        mode: What the page shows: `TABLE` or `CHART`.
    """

    key: str
    name: str
    filter: str
    tags: tuple[str, ...]
    chart: str = "BAR"
    charted: tuple[str, ...] = _CHARTED
    mode: str = "TABLE"

    @property
    def tag(self) -> dict[str, str]:
        """Tag of the experiment that stores the view."""
        stored = {"name": self.name, "createdAt": 0, "state": json.dumps(self._state())}
        return {_TAG + self.key: json.dumps(stored)}

    def page(self, experiment: str) -> str:
        """Return the address of the view, from the `#` on.

        Example:
            >>> CELLS.page("7").split("?")[1]
            'workflowType=machine_learning&viewStateShareKey=handssl-cells'
        """
        return runs_page(experiment, viewStateShareKey=self.key, **self._shown())

    def _shown(self) -> Mapping[str, str]:
        return {} if self.mode == "TABLE" else {"compareRunsMode": self.mode}

    def _state(self) -> dict[str, Any]:
        columns = [f"metrics.`{name}`" for name in _ERRORS] + [f"tags.`{tag}`" for tag in self.tags]
        return {
            "searchFilter": self.filter,
            "orderByKey": f"metrics.`{PRIMARY_METRIC}`",
            "orderByAsc": True,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "selectedColumns": columns,
            "columnOrder": [],
            "columnWidths": {"attributes.`Run Name`": _NAME_PX},
            "runsHiddenMode": "FIRST_20_RUNS",
            "compareRunSections": [
                _section("errors", "Errors"),
                _section("others", "Model metrics"),
            ],
            "compareRunCharts": [_chart(self.chart, metric) for metric in self.charted],
            "isAccordionReordered": True,
        }


# Width of the names of runs in pixels.
_NAME_PX = 320
# Settings without which MLflow's page cannot draw a line chart.
_LINE = {
    "lineSmoothness": 0,
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def _section(key: str, name: str) -> dict[str, Any]:
    return {
        "uuid": key,
        "name": name,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
    }


def _chart(kind: str, metric: str) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"{kind} {metric}",
        "metricSectionId": "errors",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric,
        "runsCountToCompare": 20,
        **(_LINE if kind == "LINE" else {}),
        "deleted": False,
        "isGenerated": True,
    }


CELLS = View(
    "handssl-cells",
    "Cells, best first",
    "tags.kind = 'cell'",
    ("stage", "objective", "composition", "blocks", "outcomes"),
)
TRIALS = View(
    "handssl-trials",
    "Trials, best first",
    "tags.kind = 'trial'",
    ("stage", "cell", "block", "outcome"),
    "LINE",
    _CURVES,
)
COMPARED = View(
    "handssl-compare",
    "Best cells and references",
    "tags.compare = 'yes'",
    ("objective", "composition", "blocks", "outcomes"),
)
CURVES = replace(TRIALS, mode="CHART")


def runs_page(experiment: str, **more: str) -> str:
    """Return the address of an experiment's runs, from the `#` on.

    Args:
        experiment: Id of the experiment.
        more: Further parameters of the page.
    """
    return f"#/experiments/{experiment}/runs?{urlencode({**_TRAINING, **more})}"


def experiment_tags(experiment: str) -> dict[str, str]:
    """Return the tags with which MLflow's page shows an experiment as one of model training.

    Args:
        experiment: Id of the experiment.
    """
    views = {"cells": CELLS, "trials": TRIALS, "curves": CURVES}
    note = _LISTED.format(**{name: view.page(experiment) for name, view in views.items()})
    return {**KIND, **_PRIMARY, **CELLS.tag, **TRIALS.tag, _NOTE: note}


def missing_tags(experiment: str, found: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that an experiment lacks; a description by the user is kept."""
    wanted = experiment_tags(experiment)
    return {
        k: v for k, v in wanted.items() if found.get(k) != v and not (k == _NOTE and k in found)
    }
