"""Benchmarks: rates relative to a limit of the machine, with hardware and versions."""
