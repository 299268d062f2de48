"""Benchmark of one update of every optimizer on the same parameters, against torch's AdamW."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress, Rate, in_turns
from handssl.models import ResNet18
from handssl.optim import OptimizerConfig, build, decay_groups

BASELINE = "torch AdamW"
TARGETS = {"lars": 1.2, "lamb": 1.8}
_LR = 1e-3
_DECAY = 1e-6
_UPDATES_TO_WARM_UP = 3


def bench_optim(
    rounds: int = 15,
    *,
    width: int = 64,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
) -> dict[str, Rate]:
    """Measure updates per second of torch's foreach AdamW and of every optimizer, in turns.

    Args:
        rounds: Number of measurements of each, one update each time.
        width: Width of the ResNet-18 whose parameters are updated.
        device: Device of the parameters.
        on_progress: Called with (measurements done, total measurements).

    Returns:
        Updates per second by name, `torch AdamW` first.
    """
    optimizers = {BASELINE: _baseline(_model(width, device))}
    for name in ("adam", "adam_larc", "lars", "lars large_batch", "lamb"):
        optimizers[name] = _ours(name, _model(width, device))
    ways = {name: _update(optimizer, device) for name, optimizer in optimizers.items()}
    for way in ways.values():
        for _ in range(_UPDATES_TO_WARM_UP):
            way()
    return in_turns(ways, rounds=rounds, on_progress=on_progress)


def text(rates: dict[str, Rate]) -> str:
    """Return the results as a Markdown page.

    Args:
        rates: Rates from `bench_optim`.
    """
    base = rates[BASELINE].per_s
    lines = [
        "# One update",
        "",
        "Every optimizer on the parameters of a ResNet-18, float32, gradients given; weights of "
        "convolutions decayed and adapted. Medians of "
        "updates taken in turns; ratios are of one run.",
        "",
        describe(),
        "",
        "| | ms/update | least to most | times torch AdamW | at most |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rate in rates.items():
        least, most = 1e3 / rate.spread[1], 1e3 / rate.spread[0]
        lines.append(
            f"| {name} | {1e3 / rate.per_s:.1f} | {least:.1f} to {most:.1f} "
            f"| {base / rate.per_s:.2f} | {TARGETS.get(name.split()[0], '')} |"
        )
    return "\n".join(lines) + "\n"


def _model(width: int, device: str) -> nn.Module:
    """Return a network with gradients of a typical size in training."""
    model = ResNet18(width).to(device)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-3
    return model


def _baseline(model: nn.Module) -> torch.optim.Optimizer:
    groups = decay_groups([model], _DECAY)
    return torch.optim.AdamW(groups, lr=_LR, foreach=True)


def _ours(name: str, model: nn.Module) -> torch.optim.Optimizer:
    first, *preset = name.split()
    values = {"name": first, "preset": preset[0]} if preset else {"name": first}
    config = OptimizerConfig.parse(values)
    return build(first, decay_groups([model], _DECAY), lr=_LR, **config.options())


def _update(optimizer: torch.optim.Optimizer, device: str) -> Callable[[], int]:
    def run() -> int:
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize(device)
        return 1

    return run
