"""Formats in which a report is written."""
