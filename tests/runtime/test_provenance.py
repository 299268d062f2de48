"""Where a result comes from: data, code, versions and machine, in tags, inputs and a file."""

import json
from importlib.metadata import version

import pytest

from handssl.ledger import Ledger, TrialRecord
from handssl.runtime import provenance

mlflow_inputs = pytest.importorskip("handssl.tracking.mlflow_inputs")
tracker_module = pytest.importorskip("handssl.tracking.tracker")

LABELLED = {"dataset": "freihand", "fingerprint": "1" * 32, "splits": {"probe": 48, "test": 24}}
OTHER = {"dataset": "folder", "fingerprint": "2" * 32, "splits": {"pretrain": 64}}
TAGS = {
    "data_fingerprint": "0" * 32,
    "data_labelled": f"freihand {'1' * 32}",
    "data_pretrain": f"folder {'2' * 32}",
}


def shown(inputs):
    return {i.tags[0].value: (i.dataset.name, i.dataset.digest, i.dataset.profile) for i in inputs}


def test_every_use_of_data_is_an_input_with_its_fingerprint():
    inputs = mlflow_inputs.data_inputs(TAGS | mlflow_inputs.source_tag(LABELLED, OTHER))
    assert shown(inputs) == {
        "pretrain": ("folder/pretrain", "2" * 32, '{"num_rows": 64}'),
        "probe": ("freihand/probe", "1" * 32, '{"num_rows": 48}'),
        "select": ("freihand/select", "1" * 32, None),
        "test": ("freihand/test", "1" * 32, '{"num_rows": 24}'),
    }
    source = json.loads(inputs[0].dataset.source)
    assert source["tags"]["dataset"] == "folder"


def test_one_store_for_everything_is_described_once():
    tag = mlflow_inputs.source_tag(LABELLED, LABELLED)[mlflow_inputs.SOURCE_TAG]
    assert list(json.loads(tag)) == ["labelled"]


def test_a_record_that_does_not_name_its_data_has_no_inputs():
    assert mlflow_inputs.data_inputs({}) == []


def test_the_machine_and_the_versions_are_named():
    tags = provenance.provenance()
    assert {"version.python", "version.torch", "machine.cpu", "machine.platform"} <= tags.keys()
    assert {"version.numpy", "version.opencv", "code_digest"} <= tags.keys()
    assert all(tags.values())


def test_the_environment_is_a_constraints_file_with_comments():
    lines = provenance.environment_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert f"torch=={version('torch')}" in pins
    assert all("==" in pin for pin in pins)
    assert any(line.startswith("# machine.cpu: ") for line in lines)


def test_a_run_shows_inputs_and_environment_of_the_process_that_trained_it(tmp_path):
    store, uri = Ledger(tmp_path), f"sqlite:///{tmp_path}/mlflow.db"
    entry = TrialRecord(
        trial_id="b" * 16,
        study="whence",
        stage="objectives",
        cell="relative rotate",
        composition="rotate",
        objective="relative",
        block=1,
        outcome="completed",
        epochs=1,
        tags=TAGS | {"version.python": "3.99.0", "git_dirty": "true"},
    )
    store.save(entry)
    tracker = tracker_module.MlflowTracker(uri, "whence", store)
    tracker.start(entry, {})
    tracker.finish(entry)
    tracker.sync()
    client, run_id = tracker._runs.client, store.load(entry.trial_id).mlflow_run_id
    run = client.get_run(run_id)
    assert run.data.tags["version.python"] == "3.99.0"
    assert "machine.cpu" not in run.data.tags  # this process's own
    contexts = {i.tags[0].value for i in run.inputs.dataset_inputs}
    assert contexts == {"pretrain", "probe", "select", "test"}
    assert [file.path for file in client.list_artifacts(run_id)] == [
        "config.yaml",
        "environment.txt",
    ]
    text = (store.folder(entry.trial_id) / "environment.txt").read_text()
    assert text == provenance.environment_text()
    assert tracker.sync() == 0
    tracker.close()
