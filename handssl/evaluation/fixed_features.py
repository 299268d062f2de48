"""Features without a network, as encoders: what a linear probe reads from pixels and edges."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from handssl.errors import InputError
from handssl.models import Encoder, EncoderConfig
from handssl.transforms.views import denormalise

RGB_PX = 16
_ORIENTATIONS, _CELL_PX, _BLOCK_CELLS = 9, 8, 2


class RgbFeatures(Encoder):
    """The image itself, averaged over areas to 16 x 16 RGB pixels: 768 features.

    Args:
        config: Not used; the signature is that of every encoder.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dim = 3 * RGB_PX**2

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, 768) of normalised images (B, 3, P, P)."""
        return functional.adaptive_avg_pool2d(images, RGB_PX).flatten(1)


class HogFeatures(Encoder):
    """Histograms of oriented gradients: 9 orientations, cells of 8 x 8 px, 2 x 2 cells, L2-Hys.

    Each pixel has the gradient of the channel in which it is largest. With c = P // 8 cells per
    side there are 36 (c - 1)^2 features: 1764 for 64 px, 8100 for 128 px.

    Args:
        config: `input_px` determines the number of features.

    Raises:
        InputError: scikit-image is not installed.

    Reference:
        N. Dalal, B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self._hog = _scikit_image_hog()
        blocks = config.input_px // _CELL_PX - _BLOCK_CELLS + 1
        self.dim = blocks**2 * _BLOCK_CELLS**2 * _ORIENTATIONS

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of normalised images (B, 3, P, P)."""
        pixels = denormalise(images).permute(0, 2, 3, 1).cpu().numpy()
        rows = [self._of_image(image) for image in pixels]
        return torch.stack(rows).to(images.device)

    def _of_image(self, image: Any) -> torch.Tensor:
        found = self._hog(
            image,
            orientations=_ORIENTATIONS,
            pixels_per_cell=(_CELL_PX, _CELL_PX),
            cells_per_block=(_BLOCK_CELLS, _BLOCK_CELLS),
            block_norm="L2-Hys",
            channel_axis=-1,
        )
        return torch.from_numpy(found).float()


def _scikit_image_hog() -> Any:
    """Import scikit-image only where it is used: pretraining and probes do without it."""
    try:
        from skimage.feature import hog
    except ImportError as error:
        raise InputError(
            f"HOG ridge: expected scikit-image, got {error}; run: pip install scikit-image"
        ) from None
    return hog
