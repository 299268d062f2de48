"""Measurements: ratios to a limit of the machine, taken in one run, with hardware and versions."""
