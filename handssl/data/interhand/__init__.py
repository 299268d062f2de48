"""InterHand2.6M: the single hands of a downloaded tree as samples.

Reference:
    G. Moon et al., "InterHand2.6M: a dataset and baseline for 3D interacting hand pose estimation
    from a single RGB image", ECCV 2020.
"""

from handssl.data.interhand.options import InterhandOptions
from handssl.data.interhand.reader import InterhandReader

__all__ = ["InterhandOptions", "InterhandReader"]
