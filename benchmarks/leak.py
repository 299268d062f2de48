"""Measure what single views tell of their theta, and write the tables of leak.md.

    python benchmarks/leak.py --markdown benchmarks/leak.md

Some five minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from leak_text import document
from leak_ways import WAYS, turned_views

from handssl.data.crops import CONTEXT, CROP_PX
from handssl.transforms import REGRESSABLE, AugmentConfig, Interval, make_views
from handssl.transforms.config import Border
from handssl.transforms.leakage import read_out
from handssl.transforms.leakage_features import Readout
from handssl.transforms.leakage_images import Images, crops_without_cues
from handssl.transforms.warp import warp

VIEW_PX, SEED = 128, 0
BORDERS: tuple[Border, ...] = ("disc", "reflect", "black")
IMAGES: tuple[Images, ...] = ("constant", "isotropic", "noise")
COARSE: tuple[Readout, ...] = ("pixels", "structure")
# Name, context in box sides, share of the crop that its source covers.
SITUATIONS = (
    ("inside the crop", CONTEXT, 1.0),
    ("leaving the crop", 1.25, 1.0),
    ("source ended early", CONTEXT, 0.7),
)
WIDE = {
    "rotate": {"angle_rad": Interval(low=-math.pi, high=math.pi)},
    "translate": {name: Interval(low=-0.3, high=0.3) for name in ("x_boxes", "y_boxes")},
}
GEOMETRIC = [name for name in ("rotate", "translate", "scale") if name in REGRESSABLE]


@lru_cache(maxsize=4)
def crops_of(images: Images, share: float, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep the crops, which take longer to make than the views."""
    return crops_without_cues(images, count, crop_px=CROP_PX, source_share=share, seed=SEED)


def config_of(name: str, ranges: str, border: Border) -> AugmentConfig:
    """Return the ranges: the documented ones, or wide ones of one transformation."""
    config = AugmentConfig(border=border)
    if ranges == "default":
        return config
    return config.model_copy(update={name: getattr(config, name).model_copy(update=WIDE[name])})


def border_rows(count: int) -> Iterator[dict[str, object]]:
    """Yield a row for each transformation, range, situation and border."""
    for situation, context, share in SITUATIONS:
        for name in GEOMETRIC:
            for ranges in ("default", "wide") if name in WIDE else ("default",):
                for border in BORDERS:
                    config = config_of(name, ranges, border)
                    yield {
                        "situation": situation, "transformation": name, "ranges": ranges,
                        "border": border,
                        **measure(name, config, context, share, count),
                    }  # fmt: skip


def measure(
    name: str, config: AugmentConfig, context: float, share: float, count: int
) -> dict[str, object]:
    """Return the R2 of every kind of image, and the share of the view that shows no source."""
    row: dict[str, object] = {}
    maker = make_views(config, (name,), seed=SEED, view_px=VIEW_PX, context=context)
    for images in IMAGES:
        crops, real = crops_of(images, share, count)
        view = maker(crops, torch.arange(count), epoch=1, view=0)
        theta = view.theta[name][:, 1:]
        row[images] = [read_out(view.images, theta, readout) for readout in COARSE]
    shown = warp(real.float(), view.matrix, view_px=64, context=context, border="black")
    if config.border == "disc":
        shown = shown * warp(
            torch.ones(1, 1, 8, 8), torch.eye(2, 3)[None], view_px=64, context=1.0, border="disc"
        )
    row["lost"] = float((shown < 0.5).float().mean())
    return row


def resampling_rows(count: int) -> Iterator[dict[str, object]]:
    """Yield a row for each way of making a turned view."""
    for way in WAYS:
        row: dict[str, object] = {"way": way.name}
        for images in ("noise", "isotropic", "sharp"):
            crops, _ = crops_of(images, 1.0, count)  # type: ignore[arg-type]
            views, theta, per_view_us = turned_views(way, crops)
            row[images] = read_out(views, theta, "statistics")
            fine = (views.diff(dim=3).square().mean() / views.var()).sqrt()
            if images == "isotropic":
                alike = way.view_px == VIEW_PX and not way.noise
                row |= {"fine": float(fine) if alike else math.nan, "us": per_view_us}
        yield row


def main() -> None:
    """Measure and print, or write, the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="Views of each case.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = document(
        list(border_rows(arguments.count)), list(resampling_rows(arguments.count)), arguments.count
    )
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
