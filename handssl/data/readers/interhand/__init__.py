"""InterHand2.6M: samples of the single hands of a downloaded tree.

Reference:
    G. Moon et al., "InterHand2.6M: a dataset and baseline for 3D interacting hand pose estimation
    from a single RGB image", ECCV 2020.
"""

from handssl.data.readers.interhand.options import InterhandOptions
from handssl.data.readers.interhand.reader import InterhandReader

__all__ = ["InterhandOptions", "InterhandReader"]
