"""A node with other code under the same version: refused by name, and none of its numbers kept."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import handssl
from handssl.errors import InputError
from handssl.execution.cluster.version_check import versions
from tests.execution.clusters import LocalCluster, local_cluster, wait_until

ROOT = Path(handssl.__file__).parents[1]
PRETRAIN = """
name: code
data: {pretrain: 96, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
pretrain:
  epochs: 4
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
"""
CELLS = ("rotate", "blur", "noise", "sobel")
STUDY = f"""{PRETRAIN}
halving: null
references: false
cells: [{", ".join(f"{{composition: {name}}}" for name in CELLS)}]
"""
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of this package with other numbers, its version string unchanged."""
    copy = tmp_path_factory.mktemp("changed")
    for package in ("handssl", "tune_spaces"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    identity = copy / "handssl" / "study" / "identity.py"
    text = re.sub(
        r"^NUMERICS_VERSION = \d+", "NUMERICS_VERSION = 99", identity.read_text(), flags=re.M
    )
    identity.write_text(text)
    return copy


@pytest.fixture(scope="module")
def mixed(changed):
    """A cluster whose second node has the changed copy."""
    with local_cluster(2, paths={2: changed}) as cluster:
        yield cluster


@contextmanager
def started(cluster: LocalCluster, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "handssl.cli", *words, "--address", cluster.address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=cluster.folder, env=cluster.env, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def records(storage: Path) -> list[tuple[str, int]]:
    """Return outcome and last epoch of every trial in the ledger."""
    if not (storage / "ledger.db").exists():
        return []
    with (
        closing(sqlite3.connect(storage / "ledger.db")) as base,
        suppress(sqlite3.OperationalError),
    ):
        return base.execute("SELECT outcome, epoch FROM trials").fetchall()
    return []  # its tables are still being made


def require_refusal(said: str) -> None:
    assert "Traceback" not in said
    assert re.search(r"node \S+ differs from the driver", said)
    assert re.search(r"NUMERICS_VERSION: expected \d+, got 99", said)
    assert re.search(r"code of handssl: expected \w{16} \(\S+\), got \w{16} \(\S+\)", said)
    assert "pip install --force-reinstall --no-deps" in said


@pytest.mark.parametrize(
    ("name", "theirs", "said", "mends"),
    [
        ("code", "0" * 16, "code of handssl: expected ", "python -m pip wheel --no-deps -w dist ."),
        ("numerics", "1", "NUMERICS_VERSION: expected ", "pip install --force-reinstall --no-deps"),
        ("torch", "2.0.0", "torch: expected ", "pip install 'torch=="),
        ("numpy", "1.0.0", "numpy: expected ", "pip install 'numpy=="),
        ("opencv", "none", "opencv: expected ", "pip install 'opencv-python-headless=="),
        ("python", "3.9", "python: expected ", "create an environment with Python 3."),
    ],
)
def test_whatever_numbers_depend_on_is_compared_and_mended_by_a_command(name, theirs, said, mends):
    mine = versions()
    with pytest.raises(InputError) as error:
        mine.require(replace(mine, **{name: theirs}), "gpu1")
    text = str(error.value)
    assert text.startswith("node gpu1 differs from the driver")
    assert f"{said}{getattr(mine, name)}" in text
    assert f"got {theirs}" in text
    assert mends in text
    assert error.value.exit_code == 2


def test_the_version_string_alone_makes_no_difference():
    mine = versions()
    mine.require(replace(mine, label="0.0.1"), "gpu1")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["study", "run"], STUDY),
        (["pretrain", "--workers", "2", "--set", "pretrain.composition=[rotate]"], PRETRAIN),
    ],
    ids=["study", "pretrain"],
)
def test_a_node_with_other_code_is_refused_before_anything_is_stored(mixed, tmp_path, words, text):
    file, storage = tmp_path / "run.yaml", tmp_path / "runs"
    file.write_text(text)
    with started(mixed, *words, str(file), "--storage", str(storage)) as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 2, said
    require_refusal(said)
    assert records(storage) == []
    assert not list(storage.glob("trials/*"))


@pytest.mark.long
@pytest.mark.faults
def test_a_node_that_joins_later_with_other_code_ends_the_study_without_a_number(changed, tmp_path):
    file, storage = tmp_path / "run.yaml", tmp_path / "runs"
    file.write_text(STUDY.replace("epochs: 4", "epochs: 400"))
    with local_cluster(1, paths={2: changed}) as cluster:
        cluster.env["HANDSSL_CLUSTER_CPUS"] = "2"
        with started(cluster, "study", "run", str(file), "--storage", str(storage)) as process:
            wait_until(lambda: any(epoch for _, epoch in records(storage)), "the first epoch")
            cluster.add(2)
            said, _ = process.communicate(timeout=240)
    assert process.returncode == 2, said
    require_refusal(said)
    # The trial of the good node is to be continued, the one of the other has made nothing.
    assert sorted(epoch > 0 for _, epoch in records(storage)) == [False, True]
    assert {outcome for outcome, _ in records(storage)} == {"running"}
