"""`handssl predictions` on a trial and a reference, and the same from Python."""

import csv
import json

import numpy as np
import pytest

import handssl
from handssl.cli.app import invoke
from handssl.data.splits import StudyData
from handssl.errors import DataError
from handssl.evaluation.references import measure_reference
from handssl.ledger import Ledger
from handssl.pose import Protocol
from handssl.training.kept_predictions import keep_in
from tests.finished import SHORTEST as CONFIG
from tests.finished import TRIAL, link, save, train

REFERENCE = "beef" + 12 * "0"
FILE = "predictions.npz"


@pytest.fixture(scope="module")
def storage(blob_data, tmp_path_factory):
    """A storage with a finished trial and a reference."""
    storage = tmp_path_factory.mktemp("storage")
    link(storage, blob_data)
    tag = train(storage, blob_data, CONFIG, "blobs").tags["data_labelled"]
    ledger, data = Ledger(storage), StudyData(blob_data)
    keep = keep_in(ledger.folder(REFERENCE), data)
    metrics = measure_reference("random_encoder", CONFIG.encoder, data, seed=1, keep=keep)
    shown = {"cell": "random encoder", "objective": "reference"}
    save(ledger, REFERENCE, CONFIG, metrics, tag, **shown)
    return storage


@pytest.fixture
def run(capfd, storage):
    def call(*arguments):
        code = invoke(["predictions", *map(str, arguments), "--storage", str(storage)])
        return code, *capfd.readouterr()

    return call


def logged(storage, trial=TRIAL):
    return Ledger(storage).load(trial).metrics


@pytest.mark.parametrize("trial", [TRIAL, REFERENCE])
def test_shown_errors_are_those_that_were_logged(run, storage, trial):
    for split, head in (("select", ""), ("test", "test_")):
        code, out, _ = run("show", trial[:4], "--split", split, "--json")
        assert code == 0
        found, expected = json.loads(out), logged(storage, trial)
        assert found["median"] == pytest.approx(expected[f"{head}median_mm"], abs=0.3)
        assert found["mean"] == pytest.approx(expected[f"{head}mpje_mm"], abs=0.3)
        assert len(found["joints"]) == 20
        assert found["best"][0]["mean"] <= found["worst"][0]["mean"]


def test_the_table_names_joints_and_hands(run):
    code, out, _ = run("show", "abcd", "--protocol", "pa_21", "--hands", "2")
    assert code == 0
    for word in (
        "contrastive rotate, seed 1",
        "pa_21",
        "AUC",
        "wrist",
        "little_tip",
        "worst hands",
    ):
        assert word in out


def test_the_csv_has_a_row_for_each_hand_and_a_column_for_each_joint(run, storage, tmp_path):
    code, _, _ = run("export", "abcd", "--split", "select", "--out", tmp_path / "e.csv")
    assert code == 0
    with (tmp_path / "e.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    values = [float(row[name]) for row in rows for name in row if name not in ("id", "group")]
    assert len(values) == 24 * 20
    assert np.median(values) == pytest.approx(logged(storage)["median_mm"], abs=0.3)


def test_json_and_npz_have_the_same_errors(run, tmp_path):
    for name in ("e.json", "e.npz"):
        assert run("export", "abcd", "--protocol", "pa_21", "--out", tmp_path / name)[0] == 0
    found = json.loads((tmp_path / "e.json").read_text())
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(file["errors"], np.array(found["errors"]), atol=1e-4)
        assert file["ids"].tolist() == found["ids"]
        assert file["uv"].shape == (24, 21, 2)
        assert str(file["protocol"]) == found["protocol"] == "pa_21"


def test_python_reads_them_and_takes_a_protocol_of_its_own(storage):
    kept = handssl.read_predictions("abcd", storage)
    later = Protocol("later_21", "root", "truth", 21)
    own, known = kept.errors("test", later), kept.errors("test")
    assert own.errors.shape == (24, 21)
    np.testing.assert_array_equal(own.errors[:, 1:], known.errors)


@pytest.mark.parametrize("trial", [TRIAL, REFERENCE])
def test_a_trial_without_the_file_names_the_command_that_makes_the_same_one(run, storage, trial):
    path = Ledger(storage).folder(trial) / FILE
    before = path.read_bytes()
    path.unlink()
    code, _, err = run("show", trial)
    assert code == 3
    assert f"predictions make {trial}" in err
    code, out, _ = run("make", trial)
    assert code == 0 and out.endswith("seed 1: made\n")
    assert path.read_bytes() == before
    assert run("make")[1] == "every completed trial has its predictions\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "ffff"), 2, "expected the start of one trial's id"),
        (("show", "abcd", "--protocol", "pa21"), 2, "pa_21"),
        (("show", "abcd", "--store", "nowhere"), 2, "expected the folder of a packed store"),
        (("export", "abcd", "--out", "errors.xlsx"), 2, ".csv, .json or .npz"),
    ],
)
def test_mistakes_are_reported(run, arguments, code, said):
    found, _, err = run(*arguments)
    assert (found, said in err) == (code, True), err


def test_other_labels_than_those_predicted_are_refused(storage, blob_data, monkeypatch):
    kept = handssl.read_predictions("abcd", storage)
    other = kept.store.manifest.model_copy(update={"fingerprint": "f" * 32})
    monkeypatch.setattr(kept.store, "manifest", other)
    with pytest.raises(DataError, match="expected the labels of data"):
        kept.errors("test")


def test_a_damaged_file_is_reported(run, storage):
    path = Ledger(storage).folder(TRIAL) / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:500])
    try:
        code, _, err = run("show", "abcd")
    finally:
        path.write_bytes(whole)
    assert code == 3
    assert "expected the predictions of a trial" in err
