"""Print how many procedural hands one core renders in a second, background and labels included.

Seconds are CPU time of this process, in the fastest of several rounds: other processes on the
machine can only slow it down.

OMP_NUM_THREADS=1 python benchmarks/render_hands.py
"""

from __future__ import annotations

import time

import cv2

from handssl.bench.environment import describe
from handssl.data.procedural import ProceduralSpec, make_sample

WARM_UP, COUNT, ROUNDS = 150, 60, 5


def images_per_s(image_px: int) -> float:
    """Render `COUNT` hands in each round after a warm-up that fills the cache of subjects."""
    spec = ProceduralSpec(pretrain=WARM_UP + ROUNDS * COUNT, image_px=image_px)
    for index in range(WARM_UP):
        make_sample(spec, "pretrain", index)
    seconds = []
    for first in range(WARM_UP, WARM_UP + ROUNDS * COUNT, COUNT):
        start_s = time.process_time()
        for index in range(first, first + COUNT):
            make_sample(spec, "pretrain", index)
        seconds.append(time.process_time() - start_s)
    return COUNT / min(seconds)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    print("| image side | images per second and core | on |\n| --: | --: | --- |")
    for side_px in (84, 112, 224):
        print(f"| {side_px} px | {images_per_s(side_px):.0f} | {describe()} |")
