"""BatchNorm with the statistics of the global batch, on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from handssl.distributed.collectives import gather, sum_over_ranks, world_size


class _GlobalStatistics(_BatchNorm):
    """Base of both classes; with one rank or in evaluation it is torch's own BatchNorm."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised (B, C, ...), with mean and variance over all ranks' samples."""
        if world_size() == 1 or not self.training:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        mean, variance, count = _statistics(x)
        _move_running_statistics(self, mean, variance, count)
        return _normalise(x, self.weight, self.bias, mean, variance, count, self.eps)


class GlobalBatchNorm1d(_GlobalStatistics, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` whose training statistics are those of the global batch."""


class GlobalBatchNorm2d(_GlobalStatistics, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose training statistics are those of the global batch."""


_GLOBAL: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: GlobalBatchNorm1d,
    nn.BatchNorm2d: GlobalBatchNorm2d,
}


def use_global_batch_norm(module: nn.Module) -> nn.Module:
    """Make every BatchNorm of a module use the statistics of the global batch, in place.

    Modules, parameters, buffers and their names do not change, so optimizers and checkpoints from
    before and after are compatible.

    Args:
        module: Any module.

    Returns:
        The same module.

    Example:
        >>> model = use_global_batch_norm(nn.Sequential(nn.BatchNorm1d(2)))
        >>> list(model.state_dict())[:2]
        ['0.weight', '0.bias']
    """
    for part in module.modules():
        part.__class__ = _GLOBAL.get(type(part), type(part))
    return module


@torch.no_grad()
def _statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean (C,), biased variance (C,) and samples per channel () over all ranks.

    Each rank's mean and sum of squares about it are merged in rank order (Chan, Golub, LeVeque
    1983): no cancellation, one collective, and the same bits on every rank.
    """
    rows = x.numel() // x.shape[1]
    mean, squares = _own_statistics(x if x.dtype == torch.float64 else x.float(), rows)
    parts = gather(
        torch.stack((mean, squares, torch.full_like(mean, rows)))[None], [1] * world_size()
    )
    means, squares, counts = parts.unbind(1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count
    return mean, (squares + counts * (means - mean).square()).sum(0) / count, count[0]


def _own_statistics(values: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and sum of squares about it of this rank's samples, with torch's own kernel."""
    if rows == 0:  # a rank may have no sample of a small last batch
        zeros = values.new_zeros(values.shape[1])
        return zeros, zeros
    mean, variance = torch.batch_norm_update_stats(values, None, None, 0.0)
    return mean, variance * rows


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) x weight + bias, where mean and variance depend on x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        count: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        values, inverse = x.to(mean.dtype), torch.rsqrt(variance + ctx.eps)
        scale = inverse if weight is None else inverse * weight
        # As if the statistics were constants: gradient x scale, and the sums for the other terms.
        for_x, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            gradient.to(mean.dtype),
            values,
            scale / inverse,
            mean,
            variance,
            *(None, None, False, ctx.eps, [True, True, True]),
        )
        # The weights' gradients stay local (they are averaged later); those of x are summed here.
        shift, slope = sum_over_ranks(torch.stack((for_bias, for_weight))) / count * scale
        slope = slope * inverse
        for_x = for_x.sub_(_as_channels(shift - slope * mean, x))
        for_x = for_x.addcmul_(values, _as_channels(slope, x), value=-1.0)
        none = (None, None) if weight is None else (for_weight, for_bias)
        return for_x.to(x.dtype), *none, None, None, None, None


# The stubs do not type `apply`.
_normalise: Callable[..., torch.Tensor] = _Normalise.apply


@torch.no_grad()
def _move_running_statistics(
    module: _BatchNorm,
    mean: torch.Tensor,
    variance: torch.Tensor,
    count: torch.Tensor,
) -> None:
    if module.running_mean is None or module.running_var is None:
        return
    assert module.num_batches_tracked is not None  # noqa: S101  comes with running_mean
    module.num_batches_tracked.add_(1)
    share: Any = module.momentum
    if share is None:  # torch's cumulative average
        share = 1.0 / float(module.num_batches_tracked)
    unbiased = variance * (count / (count - 1).clamp(min=1))
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), share)
    module.running_var.lerp_(unbiased.to(module.running_var.dtype), share)


def _as_channels(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.reshape(1, -1, *[1] * (like.ndim - 2))
