"""Panels and dashboards in Grafana's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handssl.execution.operator_metrics import OperatorMetric

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS, _HEIGHT = 24, {"stat": 5, "timeseries": 8}
Threshold = tuple[float | None, str]
NONE_IS_GOOD: tuple[Threshold, ...] = ((None, "green"), (1, "red"))


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard.

    Attributes:
        title: Title.
        metric: Metric that gives the unit.
        description: What it shows, and what to do about it.
        queries: Query in Prometheus's language and legend of each line.
        kind: `stat` for a number, `timeseries` for a chart.
        unit: Unit, if it is not that of the metric.
        thresholds: Values from which a color holds; the first one is None.
        stacked: Whether the lines add up.
    """

    title: str
    metric: OperatorMetric
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = ""
    thresholds: tuple[Threshold, ...] = ((None, "green"),)
    stacked: bool = False

    def document(self, number: int, x: int, y: int, width: int) -> dict[str, Any]:
        """Return the panel in Grafana's format.

        Args:
            number: Id of the panel.
            x: Left column, 0 to 23.
            y: Top row.
            width: Number of columns.
        """
        steps = [{"value": value, "color": color} for value, color in self.thresholds]
        defaults: dict[str, Any] = {
            "unit": self.unit or self.metric.unit,
            "min": 0,
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if self.kind == "timeseries":
            stacking = {"mode": "normal" if self.stacked else "none"}
            shown = {"mode": "dashed" if len(steps) > 1 else "off"}
            fill = 30 if self.stacked else 0
            defaults["custom"] = {
                "stacking": stacking,
                "thresholdsStyle": shown,
                "fillOpacity": fill,
            }
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": _SOURCE,
            "gridPos": {"h": _HEIGHT[self.kind], "w": width, "x": x, "y": y},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {} if self.kind == "timeseries" else {"colorMode": "value"},
            "targets": [
                {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend}
                for i, (query, legend) in enumerate(self.queries)
            ],
        }


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        name: Name of its file; its id in Grafana is the same after `handssl-`.
        title: Title.
        variable: Label by which it is filtered.
        of: Metric that has the values of the variable.
        panels: Panels, numbers first.
    """

    name: str
    title: str
    variable: str
    of: OperatorMetric
    panels: tuple[Panel, ...]

    def document(self) -> dict[str, Any]:
        """Return the dashboard in Grafana's format."""
        return {
            "title": self.title,
            "uid": f"handssl-{self.name}",
            "tags": ["handssl"],
            "schemaVersion": 39,
            "timezone": "browser",
            "refresh": "15s",
            "time": {"from": "now-6h", "to": "now"},
            "links": [{"type": "dashboards", "title": "handssl", "tags": ["handssl"]}],
            "templating": {"list": [_datasource(), self._variable()]},
            "panels": self._placed(),
        }

    def _variable(self) -> dict[str, Any]:
        values = f"label_values({self.of.series}, {self.variable})"
        return {
            "name": self.variable,
            "label": self.variable.capitalize(),
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": values, "refId": "variable"},
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }

    def _placed(self) -> list[dict[str, Any]]:
        """Put the numbers in one row and the charts below in two columns."""
        numbers = [panel for panel in self.panels if panel.kind == "stat"]
        charts = [panel for panel in self.panels if panel.kind != "stat"]
        width, half = _COLUMNS // len(numbers), _COLUMNS // 2
        top, high = _HEIGHT["stat"], _HEIGHT["timeseries"]
        first = len(numbers) + 1
        return [
            *(p.document(i + 1, i * width, 0, width) for i, p in enumerate(numbers)),
            *(
                p.document(first + i, i % 2 * half, top + i // 2 * high, half)
                for i, p in enumerate(charts)
            ),
        ]


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def once(metric: OperatorMetric, more: str = "", name: str = "") -> str:
    """Return the series of the chosen studies or queues, once: all services export the same."""
    chosen, labels = metric.labels[0], ", ".join((*(("le",) if name else ()), *metric.labels))
    of = name or metric.series
    return f'max by ({labels}) ({of}{{{chosen}=~"${chosen}"{more}}})'


def total(label: str, query: str) -> str:
    """Return the sum of a query for each value of a label."""
    return f"sum by ({label}) ({query})"
