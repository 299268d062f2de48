"""Procedural hands: a skinned mesh, posed, lit and rendered on the CPU, with exact labels.

Made for checking and demonstrating the software; no substitute for FreiHAND or InterHand2.6M.
"""

from handssl.data.procedural.dataset import ProceduralDataset, ProceduralSpec, make_sample
from handssl.data.procedural.writing import write_freihand

__all__ = ["ProceduralDataset", "ProceduralSpec", "make_sample", "write_freihand"]
