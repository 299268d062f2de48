"""FreiHAND: samples of all images of a root, official or procedural.

Reference:
    C. Zimmermann et al., "FreiHAND: a dataset for markerless capture of hand pose and shape from
    single RGB images", ICCV 2019.
"""

from handssl.data.readers.freihand.reader import FreihandReader
from handssl.data.readers.freihand.splits import SplitRule, official_split

__all__ = ["FreihandReader", "SplitRule", "official_split"]
