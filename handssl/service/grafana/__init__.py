"""Grafana dashboards of the metrics for operators, generated from their table."""
