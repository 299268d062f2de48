"""Ways of making a turned view, from OpenCV calls, for the table of resampling in leak.md."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from handssl.data.crops import CONTEXT
from handssl.transforms import AugmentConfig, draw_theta, view_matrix
from handssl.transforms.opencv_warp import pixel_matrices


@dataclass(frozen=True)
class Way:
    """How a view is made from its crop.

    Attributes:
        name: In the table.
        view_px: Side of the view.
        taps: OpenCV's interpolation.
        finer: The view is made this many times finer and averaged over areas.
        before_px: Sigma of a blur of the crop.
        after_px: Sigma of a blur of the view.
        noise: Sigma of noise added to the view, of 255.
    """

    name: str
    view_px: int = 128
    taps: int = cv2.INTER_LINEAR
    finer: int = 1
    before_px: float = 0.0
    after_px: float = 0.0
    noise: float = 0.0

    def __call__(
        self, crop: np.ndarray, matrix: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Make one grey view, uint8."""
        size = (self.view_px * self.finer,) * 2
        if self.before_px:
            crop = cv2.GaussianBlur(crop, (0, 0), self.before_px)
        view = cv2.warpAffine(
            crop,
            matrix,
            size,
            flags=self.taps | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        if self.finer > 1:
            view = cv2.resize(view, (self.view_px,) * 2, interpolation=cv2.INTER_AREA)
        if self.after_px:
            view = cv2.GaussianBlur(view, (0, 0), self.after_px)
        if self.noise:
            field = rng.standard_normal(view.shape, dtype=np.float32)
            view = cv2.addWeighted(view, 1.0, field, self.noise, 0.0, dtype=cv2.CV_8U)
        return view


WAYS = (
    Way("bilinear, 128 px (as it is)"),
    Way("bicubic", taps=cv2.INTER_CUBIC),
    Way("Lanczos, 8 taps", taps=cv2.INTER_LANCZOS4),
    Way("made twice as fine, averaged", finer=2),
    Way("crop blurred by 1 px", before_px=1.0),
    Way("view blurred by 0.7 px", after_px=0.7),
    Way("view blurred by 1 px", after_px=1.0),
    Way("view blurred by 1.25 px", after_px=1.25),
    Way("view blurred by 1.5 px", after_px=1.5),
    Way("noise of 4 of 255", noise=4.0),
    Way("noise of 8 of 255", noise=8.0),
    Way("noise of 16 of 255", noise=16.0),
    Way("view blurred by 1 px, noise of 4 of 255", after_px=1.0, noise=4.0),
    Way("view of 96 px, made twice as fine, averaged", view_px=96, finer=2),
    Way("view of 64 px, bilinear", view_px=64),
    Way("view of 64 px, made four times as fine, averaged", view_px=64, finer=4),
)


def turned_views(way: Way, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return grey views (B, 1, P, P) of drawn rotations, theta (B, 1), and microseconds a view."""
    ids = torch.arange(len(crops))
    theta = draw_theta(AugmentConfig(), ("rotate",), ids, seed=0, epoch=1, view=0)
    matrices = pixel_matrices(
        view_matrix(theta, torch.zeros(len(crops))),
        view_px=way.view_px * way.finer,
        crop_px=crops.shape[-1],
        context=CONTEXT,
    )
    rng, grey = np.random.default_rng(0), crops[:, 0].numpy()
    start_s = time.perf_counter()
    views = np.stack([way(*pair, rng) for pair in zip(grey, matrices, strict=True)])
    per_view_us = (time.perf_counter() - start_s) / len(crops) * 1e6
    # A deviation of 0.225 makes them as large as normalised views are.
    images = torch.from_numpy(views).float()[:, None] / (255.0 * 0.225)
    return images, theta["rotate"][:, 1:], per_view_us
