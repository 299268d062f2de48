"""An encoder in MLflow: the same numbers in another process, and nothing is unpickled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from handssl.ledger import Ledger, TrialRecord
from handssl.models import EncoderConfig, build_encoder, initialise
from handssl.training.weights import save_weights

encoder_model = pytest.importorskip("handssl.tracking.encoder_model")
tracker_module = pytest.importorskip("handssl.tracking.tracker")

CONFIG = EncoderConfig(width=8, input_px=32)
PROGRAM = """
import json, sys
import mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
numpy.save(sys.argv[4], model.predict(numpy.load(sys.argv[3])))
print(json.dumps(model.metadata.signature.to_dict()))
"""


def completed(store, number, median_mm, objective="relative"):
    record = TrialRecord(
        trial_id=f"{number:016x}",
        study="encoders",
        stage="objectives",
        cell=f"{objective} rotate",
        composition="rotate",
        objective=objective,
        block=number,
        outcome="completed",
        epoch=2,
        epochs=2,
        metrics={"median_mm": median_mm},
        config={"encoder": CONFIG.model_dump(mode="json")},
    )
    encoder = build_encoder(CONFIG)
    initialise(encoder, seed=number)
    store.save(record)
    save_weights(encoder, store.folder(record.trial_id) / "encoder.safetensors")
    return record, encoder.eval()


def models(tracker):
    runs = tracker._runs
    return {m.source_run_id: m for m in runs.client.search_logged_models([runs.experiment])}


@pytest.fixture
def store(tmp_path):
    return Ledger(tmp_path / "runs")


@pytest.fixture
def uri(tmp_path):
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.faults
def test_a_fresh_process_that_unpickles_nothing_gets_our_numbers(store, uri, tmp_path):
    record, encoder = completed(store, 1, 60.0)
    tracker = tracker_module.MlflowTracker(uri, "encoders", store, models="all")
    assert tracker.sync() == 1
    run_id = store.load(record.trial_id).mlflow_run_id
    model = models(tracker)[run_id]
    (output,) = tracker._runs.client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 2)
    assert str(model.status) == "READY"
    images = torch.rand(3, 3, 32, 32) * 4.0 - 2.0
    np.save(tmp_path / "images.npy", images.numpy())
    files = [str(tmp_path / name) for name in ("images.npy", "features.npy")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, uri, f"models:/{model.model_id}", *files],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ
        | {
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "PYTHONPATH": str(Path(encoder_model.__file__).parents[2]),
        },
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = encoder(images).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, atol=1e-6, rtol=0)
    shapes = [json.loads(json.loads(done.stdout)[k])[0] for k in ("inputs", "outputs")]
    assert [s["tensor-spec"]["shape"] for s in shapes] == [[-1, 3, 32, 32], [-1, 64]]
    tracker.close()


def test_no_file_of_a_model_is_a_pickle(store, tmp_path):
    record, _ = completed(store, 1, 60.0)
    weights = store.folder(record.trial_id) / "encoder.safetensors"
    encoder_model.save_encoder(tmp_path / "model", CONFIG, weights)
    files = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert {path for path in files if not path.endswith((".json", ".yaml", ".txt"))} == {
        "MLmodel",
        "encoder.safetensors",
    }


def test_the_best_completed_pretraining_of_a_complete_study_becomes_a_model_once(store, uri):
    for number, (median_mm, objective) in enumerate(
        [(60.0, "relative"), (55.0, "contrastive"), (40.0, "supervised")], start=1
    ):
        completed(store, number, median_mm, objective)
    for complete in (False, True, True):
        tracker = tracker_module.MlflowTracker(uri, "encoders", store)
        tracker.catch_up()
        tracker.close(complete=complete)
        run_id = store.load(f"{2:016x}").mlflow_run_id
        assert set(models(tracker)) == ({run_id} if complete else set())


def test_a_model_left_half_made_is_completed_and_not_made_twice(store, uri, monkeypatch):
    completed(store, 1, 60.0)
    tracker = tracker_module.MlflowTracker(uri, "encoders", store, models="all")
    monkeypatch.setattr(tracker._runs.client, "log_model_artifacts", lambda *_: 1 / 0)
    tracker.sync()
    monkeypatch.undo()
    assert [str(model.status) for model in models(tracker).values()] == ["PENDING"]
    tracker.sync()
    assert [str(model.status) for model in models(tracker).values()] == ["READY"]
    tracker.close()


def test_models_can_be_switched_off(store, uri):
    completed(store, 1, 60.0)
    tracker = tracker_module.MlflowTracker(uri, "encoders", store, models="none")
    tracker.sync()
    tracker.close(complete=True)
    assert models(tracker) == {}
