"""FreiHAND and procedural hands by name, and on the way to a packed store."""

import numpy as np
import pytest

from handssl.data import open_dataset
from handssl.data.catalog import open_reader
from handssl.data.config import ProceduralData
from handssl.data.preparation import prepare
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.store import PackedStore
from handssl.errors import InputError

SPEC = ProceduralSpec(pretrain=2, probe=2, select=3, test=1, image_px=64, versions=2, evaluation=2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_freihand(tmp_path_factory.mktemp("freihand") / "root", SPEC, workers=1)


def test_datasets_are_opened_by_name(written):
    assert len(open_dataset("freihand", written, split="select")) == 6
    assert len(open_dataset("freihand", str(written), split="select", versions=("gs",))) == 3
    assert len(open_dataset("procedural", split="probe", probe=3)) == 3


def test_the_evaluation_set_is_opened_by_name(written):
    read = open_dataset("freihand", written, split="evaluation")
    drawn = open_dataset("procedural", split="evaluation", **SPEC.model_dump())
    assert len(read) == len(drawn) == 2
    np.testing.assert_allclose(read[1].uv, drawn[1].uv, atol=1e-9)
    with pytest.raises(InputError, match="no split 'evaluation'"):
        open_dataset("procedural", split="evaluation")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("freihnd",), {}, "did you mean 'freihand'"),
        (("freihand",), {}, "expected a root"),
        (("freihand", "."), {"rul": "blocks"}, "unknown option 'rul'; did you mean 'rule'"),
        (("procedural",), {"split": "train"}, "unknown split 'train'"),
        (("procedural",), {"prob": 3}, "did you mean 'probe'"),
    ],
)
def test_a_mistake_in_opening_is_reported(arguments, options, message):
    with pytest.raises(InputError, match=message):
        open_dataset(*arguments, **options)


def test_the_options_of_a_reader_reach_it(written):
    reader = open_reader("freihand", written, rule="published_90_10", versions=("hom",))
    assert (reader.rule, reader.versions) == ("published_90_10", ("hom",))


def test_prepared_data_takes_the_path_of_real_data_and_is_reused(tmp_path):
    config = ProceduralData(pretrain=24, probe=16, select=16, test=16, image_px=64, crop_px=64)
    phases = []
    folder = prepare(config, tmp_path, lambda phase, done, total: phases.append(phase), workers=1)
    assert set(phases) == {"rendering", "packing"}
    assert PackedStore(folder).manifest.splits["pretrain"] == 24
    (source,) = (tmp_path / "datasets").iterdir()
    assert (source / "training" / "rgb").is_dir()
    phases.clear()
    assert prepare(config, tmp_path, lambda phase, done, total: phases.append(phase)) == folder
    assert "rendering" not in phases
