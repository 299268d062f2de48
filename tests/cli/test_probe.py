"""`handssl probe` on a finished trial."""

import json

import numpy as np
import pytest

from handssl.cli.app import invoke
from handssl.data.packing import pack
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.readers.freihand import FreihandReader
from handssl.evaluation.freihand_export import read_freihand_predictions
from handssl.ledger import Ledger
from tests.finished import SHORTEST as CONFIG
from tests.finished import TRIAL, train

SPEC = ProceduralSpec(pretrain=16, probe=40, select=16, test=12, evaluation=6, image_px=64)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_freihand(tmp_path_factory.mktemp("data") / "root", SPEC, workers=1)


@pytest.fixture(scope="module")
def storage(root, tmp_path_factory):
    """A storage with one finished trial and the metrics it recorded."""
    storage = tmp_path_factory.mktemp("storage")
    store = pack(FreihandReader(root), storage / "stores" / "one", crop_px=64)
    train(storage, store.folder, CONFIG, "freihand")
    return storage


@pytest.fixture
def run(capfd, storage):
    def call(*arguments):
        code = invoke(["probe", *map(str, arguments), "--storage", str(storage)])
        return code, *capfd.readouterr()

    return call


def test_the_probe_says_what_the_trial_recorded(run, storage):
    code, out, _ = run("abcd", "--json")
    assert code == 0
    errors = json.loads(out)["errors"]
    recorded = Ledger(storage).load(TRIAL).metrics
    assert errors["select"]["root_gtroot_20_boxpub/median_mm"] == pytest.approx(
        recorded["median_mm"]
    )
    assert errors["test"]["root_gtroot_20_boxpub/mean_mm"] == pytest.approx(
        recorded["test_mpje_mm"]
    )
    assert errors["evaluation"]["freihand_pa_21_boxpub/auc_50mm"] > 0


def test_the_table_names_protocols_and_what_cannot_be_known(run):
    code, out, _ = run("abcd")
    assert code == 0
    assert "freihand_pa_21" in out
    assert out.count("n/a: needs a mesh") == 2


@pytest.mark.parametrize("name", ["pred.json", "pred.zip"])
def test_predictions_of_the_evaluation_images_are_exported(run, root, tmp_path, name):
    code, out, _ = run("abcd", "--export", "freihand", "--out", tmp_path / name)
    assert code == 0
    assert "6; the official set has 3,960" in out
    xyz = read_freihand_predictions(tmp_path / name)
    truth = FreihandReader(root)
    labels = np.stack([truth[i].xyz for i in truth.splits["evaluation"]])
    assert xyz.shape == (6, 21, 3)
    phalanx = np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)
    np.testing.assert_allclose(
        phalanx, np.linalg.norm(labels[:, 9] - labels[:, 10], axis=1), atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ffff",), 2, "trial 'ffff': expected the start of one trial's id"),
        (("abcd", "--store", "interhand"), 2, "expected the folder of a packed store"),
    ],
)
def test_a_trial_or_store_that_is_not_there_is_reported(run, arguments, code, message):
    found, _, err = run(*arguments)
    assert found == code
    assert message in err


def test_a_trial_without_an_encoder_is_reported(run, storage):
    path = storage / "trials" / TRIAL / "encoder.safetensors"
    path.rename(path.with_suffix(".away"))
    try:
        code, _, err = run("abcd")
    finally:
        path.with_suffix(".away").rename(path)
    assert code == 3
    assert "expected the encoder of a finished trial" in err


def test_damaged_weights_are_reported(run, storage):
    path = storage / "trials" / TRIAL / "encoder.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    try:
        code, _, err = run("abcd")
    finally:
        path.write_bytes(whole)
    assert code == 3
    assert "expected weights of this encoder" in err


def test_the_papers_probe_is_fitted_beside_and_its_conditions_are_named(run):
    code, out, _ = run(
        TRIAL[:4],
        "--probe",
        "sgd",
        "--augmentation",
        "geometric",
        *("--set", "epochs=2", "--set", "views=1", "--json"),
    )
    assert code == 0
    found = json.loads(out)
    assert found["probe"]["name"] == "sgd"
    assert set(found["chosen"]) == {"sgd/lr", "sgd/weight_decay"}
    assert found["errors"]["select"]["root_gtroot_20_aug_boxpub/median_mm"] > 0
    plain = json.loads(run(TRIAL[:4], "--json")[1])
    assert plain["probe_id"] != found["probe_id"]


def test_a_mistake_in_the_options_of_a_probe_is_reported(run):
    code, _, err = run(TRIAL[:4], "--set", "epoch=2")
    assert code == 2
    assert "did you mean 'epochs'" in err
