"""Benchmark of the trace of resampling: whether networks read it, and what removing it costs.

Two experiments for each way of making views (once, double, blurred), each with several seeds and
two lengths of training. A small network reads |theta| from single rotated views of noise without
cues: the largest trace there is, read by a network instead of features made for it. Relative
rotation is trained on procedural hands: its leak, its R2 on pairs of one image, and the error of
the probe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import t as student
from torch import nn

from handssl.bench.disk import scratch
from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress
from handssl.data.config import ProceduralData
from handssl.data.preparation import prepare
from handssl.models import initialise
from handssl.training import Execution, PretrainConfig
from handssl.training.trial import Trial
from handssl.transforms import AugmentConfig, ViewMaker, make_views
from handssl.transforms.leakage_images import crops_without_cues

WAYS: dict[str, dict[str, object]] = {
    "once": {},
    "double": {"resampling": "double"},
    "blur 1.25 px": {"view_blur_px": 1.25},
}
MEASURES = ("noise_r2", "leak", "head_r2", "median_mm")
_BATCH, _LR, _WIDTH, _CONTEXT = 64, 2e-3, 8, 1.75


@dataclass(frozen=True)
class CueSize:
    """Size of the experiments.

    Attributes:
        view_px: Side of a view in pixels; the trace is weaker in smaller views.
        crop_px: Side of the stored crops in pixels; one box side of it must have `view_px`.
        steps: Lengths of the reader's training in updates.
        epochs: Lengths of the relative objective's training in epochs.
        images: Number of hands for pretraining, and of noise images.
        labelled: Number of hands of each labelled split.
    """

    view_px: int = 96
    crop_px: int = 168
    steps: tuple[int, int] = (75, 225)
    epochs: tuple[int, int] = (3, 9)
    images: int = 384
    labelled: int = 192


@dataclass(frozen=True)
class CueRow:
    """Results of one way, length and seed.

    Attributes:
        way: One of `WAYS`.
        length: 0 for the shorter training, 1 for the longer.
        seed: The seed.
        values: Result by measure, see `MEASURES`.
    """

    way: str
    length: int
    seed: int
    values: dict[str, float]


def bench_resampling_cue(
    folder: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    size: CueSize | None = None,
    on_progress: Callable[[str], OnProgress],
) -> list[CueRow]:
    """Run both experiments on one thread.

    Args:
        folder: Folder for temporary data, which is removed.
        seeds: Seeds of draws, weights and noise.
        size: Sizes; default: about a quarter of an hour for three seeds.
        on_progress: Returns a callback of (done, total) for each phase.

    Returns:
        A row for every way, length and seed.
    """
    size, threads = size or CueSize(), torch.get_num_threads()
    rows: list[CueRow] = []
    torch.set_num_threads(1)
    try:
        with scratch(folder) as place:
            notify = on_progress("rendering")
            data = prepare(_hands(size), place, lambda _, done, total: notify(done, total))
            notify, total = on_progress("training"), len(seeds) * len(WAYS)
            for way in WAYS:
                for seed in seeds:
                    read = read_noise(way, seed, size)
                    rows += [
                        CueRow(
                            way,
                            n,
                            seed,
                            {"noise_r2": read[n], **_hands_of(way, seed, n, size, data, place)},
                        )
                        for n in (0, 1)
                    ]
                    notify(len(rows) // 2, total)
    finally:
        torch.set_num_threads(threads)
    return rows


def _hands(size: CueSize) -> ProceduralData:
    return ProceduralData(
        pretrain=size.images,
        **dict.fromkeys(("probe", "select", "test"), size.labelled),
        image_px=max(64, size.crop_px),
        crop_px=size.crop_px,
        context=_CONTEXT,
    )


def read_noise(way: str, seed: int, size: CueSize) -> tuple[float, ...]:
    """Train a network to read |theta| from rotated views of noise; return the held-out R2.

    Args:
        way: One of `WAYS`.
        seed: Seed of noise, draws and weights.
        size: Sizes.

    Returns:
        R2 = 1 - sum of squared errors / that about the mean, after each number of updates.
    """
    maker = make_views(
        AugmentConfig.parse(WAYS[way]),
        ("rotate",),
        seed=seed,
        view_px=size.view_px,
        context=_CONTEXT,
    )
    crops, _ = crops_without_cues("noise", 2 * size.images, crop_px=size.crop_px, seed=seed)
    reader = Energies()
    initialise(reader, seed=seed)
    optimizer = torch.optim.Adam(reader.parameters(), lr=_LR)
    found = []
    for step in range(max(size.steps)):
        rows = (torch.arange(_BATCH) + step * _BATCH) % size.images
        views, target = _turned(maker, crops, rows, epoch=1 + step * _BATCH // size.images)
        optimizer.zero_grad()
        (reader(views) - target).square().mean().backward()
        optimizer.step()
        if step + 1 in size.steps:
            found.append(_held_out(reader, maker, crops, size))
    return tuple(found)


class Energies(nn.Module):
    """Logs of the energies of learned local filters, and a layer on them: a network for texture."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 16, 5, bias=False)
        self.layers = nn.Sequential(
            nn.BatchNorm1d(16), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Return predictions (B, 1) for grey views (B, 1, P, P)."""
        energies = self.filters(grey).square().mean((2, 3))
        return self.layers((energies + 1e-4).log())  # type: ignore[no-any-return]


def _turned(
    maker: ViewMaker, crops: torch.Tensor, rows: torch.Tensor, epoch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the grey centres of rotated views, and |theta| over its mean, less 1: (B, 1)."""
    view = maker(crops[rows], rows, epoch=epoch, view=0)
    margin = maker.view_px // 6  # the trace is everywhere; two thirds of a side are enough
    return view.images[:, :1, margin:-margin, margin:-margin], view.theta["rotate"][:, 1:].abs() / (
        math.pi / 8
    ) - 1.0


def _held_out(reader: nn.Module, maker: ViewMaker, crops: torch.Tensor, size: CueSize) -> float:
    reader.eval()
    with torch.no_grad():
        parts = [
            _turned(maker, crops, rows, epoch=1)
            for rows in torch.split(torch.arange(size.images, 2 * size.images), _BATCH)
        ]
        predicted = torch.cat([reader(views) for views, _ in parts])
    reader.train()
    target = torch.cat([each for _, each in parts])
    return float(
        1.0 - (predicted - target).square().sum() / (target - target.mean()).square().sum()
    )


def _hands_of(
    way: str, seed: int, length: int, size: CueSize, data: Path, place: Path
) -> dict[str, float]:
    """Train relative rotation on hands; return its leak, R2 and the error of the probe."""
    config = PretrainConfig.parse(
        {
            "composition": ("rotate",),
            "objective": "relative",
            "seed": seed,
            "epochs": size.epochs[length],
            "global_batch": min(_BATCH, size.images),
            "augmentation": WAYS[way],
            "encoder": {"input_px": size.view_px, "width": _WIDTH},
            "heads": {"relative_hidden": 128},
            "optimizer": {"name": "adam", "lr_base": 1e-4, "warmup_epochs": 1},
        }
    )
    folder = place / f"{way}-{seed}-{length}"
    *_, last = Trial(config, data, folder, execution=Execution(device="cpu")).epochs()
    names = {"leak": "diag/leak/rotate", "head_r2": "diag/head_r2/rotate", "median_mm": "median_mm"}
    return {measure: last.metrics[name] for measure, name in names.items()}


def text(rows: Sequence[CueRow], size: CueSize | None = None) -> str:
    """Return the results as a Markdown page.

    Args:
        rows: Rows from `bench_resampling_cue`.
        size: Sizes they were measured with.
    """
    size, seeds = size or CueSize(), len({row.seed for row in rows})
    lines = [
        "# The trace of resampling",
        "",
        f"Mean over {seeds} seeds and half the width of its 95 % interval (Student's t). "
        "`noise_r2`: a small network reads how far a view of noise without cues was turned, R2 on "
        "held-out images. `leak`, `head_r2`: R2 of the heads of relative rotation on procedural "
        "hands, on pairs of different images and of one image. `median_mm`: the primary measure on "
        "`select`, whose images are neither transformed nor blurred.",
        "",
        f"ResNet-18 of width {_WIDTH}, views of {size.view_px} px from crops of {size.crop_px} px, "
        f"{size.images} images, batches of {_BATCH}.",
        "",
        f"{describe()}",
        "",
        f"| views | updates on noise | epochs on hands | {' | '.join(MEASURES)} |",
        f"|---|---:|---:|{'---:|' * len(MEASURES)}",
    ]
    for way in WAYS:
        for n in (0, 1):
            found = [row.values for row in rows if (row.way, row.length) == (way, n)]
            cells = [_interval([values[name] for values in found]) for name in MEASURES]
            lines.append(f"| {way} | {size.steps[n]} | {size.epochs[n]} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _interval(values: Sequence[float]) -> str:
    """Return mean and half width of the 95 % interval; the mean alone for one value."""
    found = torch.tensor(values, dtype=torch.float64)
    mean = f"{float(found.mean()):.2f}"
    if len(values) < 2:
        return mean
    half = float(found.std()) / math.sqrt(len(values)) * float(student.ppf(0.975, len(values) - 1))
    return f"{mean} +- {half:.2f}"
