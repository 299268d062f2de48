"""Simulation of halving on recorded or synthetic curves, with the code of real studies."""

from handssl.scheduling.simulation.curves import Curves, read_curves, synthetic_curves
from handssl.scheduling.simulation.simulate import Simulated, simulate

__all__ = ["Curves", "Simulated", "read_curves", "simulate", "synthetic_curves"]
