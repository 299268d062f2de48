"""A prediction file is scored against the evaluation set that a reader has found."""

import json

import numpy as np
import pytest

from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.readers.freihand import FreihandReader
from handssl.errors import InputError
from handssl.evaluation.freihand_export import write_freihand_predictions
from tests.reference.freihand_score import freihand_statistics, score_freihand

SPEC = ProceduralSpec(pretrain=1, probe=1, select=1, test=1, image_px=48, versions=1, evaluation=3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return write_freihand(tmp_path / "root", SPEC, workers=1)


def test_the_annotations_of_the_readers_evaluation_set_are_the_truth(root, tmp_path):
    truth = np.array(json.loads((root / "evaluation_xyz.json").read_text()))
    predicted = (truth + np.array([0.01, 0.0, 0.0])).round(6)
    write_freihand_predictions(tmp_path / "pred.zip", predicted, count=3)
    scores = score_freihand(tmp_path / "pred.zip", FreihandReader(root))
    assert scores["freihand_21/joint_mean_mm"] == pytest.approx(10.0, abs=1e-2)
    assert scores == pytest.approx(freihand_statistics(predicted, truth))


def test_a_reader_without_the_evaluation_set_says_which_archive_holds_it(root, tmp_path):
    (root / "evaluation_xyz.json").unlink()
    write_freihand_predictions(tmp_path / "pred.json", np.ones((3, 21, 3)), count=3)
    with pytest.raises(InputError, match=r"found none; FreiHAND_pub_v2_eval\.zip holds it"):
        score_freihand(tmp_path / "pred.json", FreihandReader(root))


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (np.ones((2, 21, 3)), r"\(2, 21, 3\) and \(3, 21, 3\)"),
        (np.ones((3, 20, 3)), r"predicted: expected shape \(N, 21, 3\)"),
        (np.full((3, 21, 3), np.nan), "predicted: expected finite joints, got NaN .* at row 0"),
    ],
)
def test_joints_that_cannot_be_scored_are_refused(predicted, message):
    with pytest.raises(InputError, match=message):
        freihand_statistics(predicted, np.ones((3, 21, 3)))
