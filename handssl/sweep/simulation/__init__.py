"""Simulation of studies on recorded or synthetic curves, with the code of real studies."""

from handssl.sweep.simulation.curves import Curves, read_curves, synthetic_curves
from handssl.sweep.simulation.rehearse import Rehearsal, rehearse
from handssl.sweep.simulation.simulate import Simulated, simulate

__all__ = [
    "Curves",
    "Rehearsal",
    "Simulated",
    "read_curves",
    "rehearse",
    "simulate",
    "synthetic_curves",
]
