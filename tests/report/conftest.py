"""Made-up but realistic rows, and a real browser."""

from __future__ import annotations

import pytest

from handssl.report.rows import Row

EPOCHS = 6
FINISHED = {
    ("relative", "rotate"): 62.0,
    ("relative", "translate"): 64.3,
    ("contrastive", "color_jitter"): 67.9,
    ("relative", "color_jitter"): 71.2,
    ("contrastive", "cutout"): 72.4,
    ("contrastive", "rotate"): 75.8,
    ("contrastive", "translate"): 77.1,
}
STOPPED = {
    ("contrastive", "sobel"): (76.9, 4),
    ("contrastive", "blur"): (77.5, 2),
    ("contrastive", "noise"): (78.2, 2),
}
REFERENCES = {
    "mean pose": 78.8,
    "true-angle oracle": 63.4,
    "RGB ridge 16x16": 70.2,
    "HOG ridge": 60.1,
    "random encoder": 76.6,
    "supervised": 52.4,
}


def curve(start: float, end: float, epochs: int) -> tuple[tuple[int, float], ...]:
    """A curve that falls ever more slowly and ends exactly at `end`."""
    floor = 0.35**epochs
    return tuple(
        (epoch, end + (start - end) * (0.35**epoch - floor) / (1 - floor))
        for epoch in range(1, epochs + 1)
    )


def _trial(objective, name, block, value, epoch, outcome):
    tested = {"test_median_mm": value + 0.9, "test_mpje_mm": value + 6.4}
    tested["test_aligned_mm"] = value / 2 + 0.3
    return Row(
        label=f"{objective} {name}",
        composition=name,
        objective=objective,
        block=block,
        outcome=outcome,
        epoch=epoch,
        epochs=EPOCHS,
        median_mm=value,
        mpje_mm=value + 5.3,
        aligned_mm=value / 2,
        curve=curve(80.0, value, epoch),
        **(tested if outcome == "completed" else {}),
    )


def _reference(name, block, value):
    trained = name == "supervised"
    return Row(
        label=name,
        composition="none",
        objective="supervised" if trained else "reference",
        block=block,
        outcome="completed",
        epoch=EPOCHS if trained else 0,
        epochs=EPOCHS if trained else 0,
        median_mm=value,
        mpje_mm=value + 5.1,
        test_median_mm=value + 0.6,
        test_mpje_mm=value + 5.9,
        aligned_mm=value / 2,
        test_aligned_mm=value / 2 + 0.2,
        kind="reference",
        curve=curve(75.0, value, EPOCHS) if trained else (),
    )


def block_rows(block: int, shift: float = 0.0) -> list[Row]:
    """All sixteen rows of one block; `shift` in mm moves every value."""
    return [
        *(_reference(name, block, value + shift) for name, value in REFERENCES.items()),
        *(
            _trial(*cell, block, value + shift * (1 + 0.1 * len(cell[1])), EPOCHS, "completed")
            for cell, value in FINISHED.items()
        ),
        *(
            _trial(*cell, block, value + shift, epoch, "stopped")
            for cell, (value, epoch) in STOPPED.items()
        ),
    ]


@pytest.fixture
def rows():
    """One block."""
    return block_rows(1)


@pytest.fixture
def three_blocks():
    """Three blocks that differ by about a millimetre; `sobel` got to another rung in the last."""
    blocks = [*block_rows(1), *block_rows(2, 0.8), *block_rows(3, -0.7)]
    blocks.remove(next(r for r in blocks if r.label == "contrastive sobel" and r.block == 3))
    return [*blocks, _trial("contrastive", "sobel", 3, 75.0, EPOCHS, "completed")]
