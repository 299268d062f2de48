"""Fixtures shared by the tests: small data that needs no renderer."""

from __future__ import annotations

import os
import shutil
import sys

# Before any test imports a library that would use more threads than this machine has cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np
import pytest

from handssl.data.packing import pack
from handssl.data.sample import SPLITS, Sample
from handssl.randomness import numpy_generator

# Fixtures that start a browser, a cluster or PostgreSQL.
_REAL = {"chromium", "cluster", "postgresql"}
COUNTS = {"pretrain": 64, "probe": 48, "select": 24, "test": 24}


class BlobHands:
    """Twenty-one coloured discs at the joints of a random hand-like set of points.

    Far simpler than the procedural hands, and like them: labels are exact and the pose is visible.
    """

    name, split_rule = "blobs", "by hand"

    def __init__(self, image_px: int = 64, **counts: int) -> None:
        self.counts, self.image_px = counts or COUNTS, image_px
        self.fingerprint = "b10b" + "".join(f"{n:04x}" for n in (*self.counts.values(), image_px))
        self.places = [(name, i) for name, count in self.counts.items() for i in range(count)]
        self.splits = {
            name: np.flatnonzero([split == name for split, _ in self.places])
            for name in self.counts
        }

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> Sample:
        split, index = self.places[position]
        rng = numpy_generator("blobs", split, index)
        side = self.image_px
        camera = np.array([[2.0 * side, 0, side / 2], [0, 2.0 * side, side / 2], [0, 0, 1.0]])
        xyz = rng.normal(0.0, 0.03, (21, 3)).clip(-0.07, 0.07)
        xyz[9] = xyz[0] + np.array([0.0, -0.09, 0.01])
        xyz += np.array([0.0, 0.0, 0.6]) - xyz.mean(axis=0) * [1, 1, 0]
        homogeneous = xyz @ camera.T
        uv = homogeneous[:, :2] / homogeneous[:, 2:]
        image = np.full((side, side, 3), rng.integers(60, 120), dtype=np.uint8)
        ys, xs = np.mgrid[:side, :side]
        for joint, (u, v) in enumerate(uv):
            disc = (xs - u) ** 2 + (ys - v) ** 2 < 4.0
            image[disc] = (40 + 10 * joint, 250 - 10 * joint, (70 * joint) % 256)
        return Sample(
            image=image,
            id=1000 * SPLITS.index(split) + index,
            group=index,
            source=f"blobs/{index}",
            uv=uv,
            xyz=xyz,
            camera=camera,
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests with a real browser, cluster or PostgreSQL belong to `make test-faults`."""
    for item in items:
        values = getattr(item, "callspec", None)
        used = [*item.fixturenames, *(values.params.values() if values else ())]
        if _REAL.intersection(name for name in used if isinstance(name, str)):
            item.add_marker(pytest.mark.faults)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Annotations parsed by tests are cached in a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def no_cluster():
    """Tests that are run beside a Ray cluster, or in a job of one, leave it alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_JOB_ID"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True, scope="module")
def no_ray_left():
    """No file of tests leaves this process connected to a Ray, which the next one would meet."""
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("these tests have left this process connected to a Ray")


@pytest.fixture(scope="session")
def blob_data(tmp_path_factory):
    """A packed store of blob hands, 56 px crops of 1.75 box sides."""
    folder = tmp_path_factory.mktemp("blobs") / "store"
    return pack(BlobHands(), folder, crop_px=56, context=1.75, workers=2).folder


@pytest.fixture
def blob_dataset():
    """The class of the blob hands."""
    return BlobHands


@pytest.fixture(scope="session")
def chromium():
    """Path of a Chromium; without one the test is skipped, or fails where no skip is allowed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        refuse = pytest.fail if os.environ.get("HANDSSL_NO_SKIPS") == "1" else pytest.skip
        refuse("needs Chromium: apt-get install chromium")
    return found
