"""Read-out of latent maps: heatmaps with a learnable temperature, keypoints and depths."""

from __future__ import annotations

import torch
from torch import nn

from handssl.errors import InputError

JOINTS = 21
TEMPERATURE = 10.0
"""Initial inverse temperature: 1 over thousands of pixels is nearly uniform, without a gradient."""

MapShape = tuple[int, int, int]
"""Number of maps, height and width in pixels."""


def heatmaps(latent: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Return the spatial softmax of latent heatmaps.

    H_k(p) = exp(beta_k L_k(p)) / sum_q exp(beta_k L_k(q)), over all pixels q of map k.

    Args:
        latent: Latent heatmaps L, (B, K, h, w).
        beta: Inverse temperatures, (K,), positive.

    Returns:
        Heatmaps H, (B, K, h, w), each with sum 1.

    Example:
        >>> heatmaps(torch.zeros(1, 1, 2, 2), torch.ones(1)).flatten().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    return (latent * beta[:, None, None]).flatten(2).softmax(-1).view_as(latent)


def soft_argmax(heat: torch.Tensor) -> torch.Tensor:
    """Return the mean position under each heatmap, sum_p H_k(p) p.

    Args:
        heat: Heatmaps, (B, K, h, w), each with sum 1; a map covers the view.

    Returns:
        (x, y) in sides of the view from its centre, (B, K, 2): pixel i of n lies at
        (i + 1/2) / n - 1/2.

    Example:
        >>> peak = torch.zeros(1, 1, 4, 4)
        >>> peak[0, 0, 1, 3] = 1.0
        >>> soft_argmax(peak).flatten().tolist()
        [0.375, -0.125]

    Reference:
        U. Iqbal, P. Molchanov, T. Breuel, J. Gall, J. Kautz, "Hand pose estimation via latent 2.5D
        heatmap regression", ECCV 2018.
    """
    height, width = heat.shape[-2:]
    x = heat.sum(-2) @ _centres(width, heat)
    y = heat.sum(-1) @ _centres(height, heat)
    return torch.stack((x, y), dim=-1)


class HeatmapHead(nn.Module):
    """Heatmaps and depth maps of all joints from latent maps, and the pose they give.

    With M latent maps Y, 2K maps are mixed from them at every pixel, (L, D) = (E + A) Y + b: K
    latent heatmaps L and K depth maps D. E is the identity and A starts at 0, so that at first
    map k is the latent heatmap of joint k and map K + k its depth map. Then

        H_k = softmax(beta_k L_k),  uv_k = sum_p H_k(p) p,  d_k = sum_p H_k(p) D_k(p),
        z_k = d_k - d_0,  beta_k = 10 exp(b_k),

    with a learnable b_k from 0. Depths are relative to joint 0, the wrist, whose depth is 0.

    It has 2K M + 3K parameters: 1,827 for 42 maps.

    Args:
        shape: Shape of the latent maps; at least 2K of them.

    Raises:
        InputError: There are fewer than 42 maps.

    Reference:
        U. Iqbal, P. Molchanov, T. Breuel, J. Gall, J. Kautz, "Hand pose estimation via latent 2.5D
        heatmap regression", ECCV 2018. There A = 0: latent maps are the network's last layer.
    """

    def __init__(self, shape: MapShape) -> None:
        super().__init__()
        self.shape, outputs = shape, 2 * JOINTS
        if shape[0] < outputs:
            raise InputError(f"heatmap head: expected at least {outputs} maps, got {shape[0]}")
        self.change = nn.Parameter(torch.zeros(outputs, shape[0]))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.log_beta = nn.Parameter(torch.zeros(JOINTS))
        self.identity: torch.Tensor
        self.register_buffer("identity", torch.eye(outputs, shape[0]), persistent=False)

    @property
    def beta(self) -> torch.Tensor:
        """Inverse temperature of each joint, (K,)."""
        return TEMPERATURE * self.log_beta.exp()

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pose in latent maps.

        Args:
            features: Vectorised maps, (B, M h w).

        Returns:
            uv in sides of the view from its centre (B, K, 2), and z in bone lengths (B, K).
        """
        mixed = (self.identity + self.change) @ features.reshape(len(features), self.shape[0], -1)
        maps = (mixed + self.offset[:, None]).reshape(-1, 2 * JOINTS, *self.shape[1:])
        latent, depth_maps = maps[:, :JOINTS], maps[:, JOINTS:]
        heat = heatmaps(latent, self.beta)
        depth = (heat * depth_maps).sum((2, 3))
        return soft_argmax(heat), depth - depth[:, :1]


class SoftArgmaxProjection(nn.Module):
    """Projection head of the published code: two convolutions on the maps, then points.

    Convolution 3 x 3 to `hidden` channels, BatchNorm, ReLU, convolution 3 x 3 to `outputs` / 2
    maps, and the soft-argmax of each: x and y in [-1, 1]. The inverse temperature of each map is
    learnable, from 10, as in `HeatmapHead`. It has 9 M h + 2 h + 9 h P + P parameters, with h
    hidden channels and P points.

    Args:
        shape: Shape of the maps.
        hidden: Channels between both convolutions; 64 in the published code.
        outputs: Size of the projection, two for each point; 128 in the published code.

    Raises:
        InputError: `outputs` is odd.

    Reference:
        simclr_heatmap_model.py of dahiyaaneesh/Handposeestimation.
    """

    def __init__(self, shape: MapShape, hidden: int, outputs: int) -> None:
        super().__init__()
        if outputs % 2:
            raise InputError(f"soft-argmax projection: expected an even size, got {outputs}")
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], hidden, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, outputs // 2, kernel_size=3, padding=1, bias=False),
        )
        self.log_beta = nn.Parameter(torch.zeros(outputs // 2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return projections (B, outputs) of vectorised maps (B, M h w)."""
        maps = self.layers(features.reshape(-1, *self.shape))
        heat = heatmaps(maps, TEMPERATURE * self.log_beta.exp())
        return 2.0 * soft_argmax(heat).flatten(1)


def _centres(count: int, like: torch.Tensor) -> torch.Tensor:
    return (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) / count - 0.5
