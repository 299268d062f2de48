"""Procedural hands: a skinned mesh, posed, lit and rendered on the CPU, with exact labels.

Meant for testing and demonstrating the software; no substitute for FreiHAND or InterHand2.6M.
"""

from handssl.data.procedural.dataset import ProceduralSpec, make_sample
from handssl.data.procedural.reader import ProceduralReader
from handssl.data.procedural.writing import write_freihand

__all__ = ["ProceduralReader", "ProceduralSpec", "make_sample", "write_freihand"]
