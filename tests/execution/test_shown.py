"""What somebody who opens a run in MLflow finds there, for every objective."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from handssl.execution.datasets import resolver
from handssl.execution.single_run import pretrain
from handssl.ledger import Ledger
from handssl.pose import PRIMARY_PROTOCOL, PROTOCOLS
from handssl.study.run_config import RunConfig

OBJECTIVES: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "relative": {},
    "mixed": {"composition": ["rotate", "color_jitter"], "relative_on": ["rotate"]},
    "equivariant": {},
    "supervised": {},
}
SIGMAS = {"relative": {"rotate"}, "mixed": {"rotate", "contrastive"}}


def config(objective: str) -> RunConfig:
    return RunConfig.parse(
        {
            "name": objective,
            "pretrain": {
                "objective": objective,
                "composition": ["rotate"],
                "epochs": 2,
                "global_batch": 16,
                "encoder": {"width": 8, "input_px": 32},
                "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
                "optimizer": {"warmup_epochs": 1},
                **OBJECTIVES[objective],
            },
        }
    )


@pytest.fixture(scope="module")
def storage(blob_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
        yield tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module", params=list(OBJECTIVES))
def shown(storage: Path, request: pytest.FixtureRequest) -> tuple[str, Run, MlflowClient]:
    result = pretrain(config(request.param), storage=storage)
    (record,) = result.records
    assert record.outcome == "completed", record.tags
    client = MlflowClient(result.tracking_uri)
    return request.param, client.get_run(record.mlflow_run_id or ""), client


def test_curves_of_training_probes_diagnostics_and_the_machine(
    shown: tuple[str, Run, MlflowClient],
) -> None:
    objective, run, _ = shown
    names = set(run.data.metrics)
    assert {"train/loss", "train/lr", "train/gradient_norm", "train/views_per_s"} <= names
    assert {f"train/trust/{name}" for name in ("min", "median", "max")} <= names
    assert {f"train/sigma/{name}" for name in SIGMAS.get(objective, ())} <= names
    protocols = {name.split("/")[1] for name in names if name.startswith("ridge/")}
    assert protocols >= {f"{name}_boxpub" for name in PROTOCOLS}
    assert run.data.tags["protocol"] == f"{PRIMARY_PROTOCOL}_boxpub"
    assert {"median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"} <= names
    assert any(name.startswith("diag/") for name in names)
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= names


def test_every_epoch_is_a_step(shown: tuple[str, Run, MlflowClient]) -> None:
    _, run, client = shown
    history = client.get_metric_history(run.info.run_id, "median_mm")
    assert [point.step for point in history] == [1, 2]


def test_configuration_code_machine_and_data(shown: tuple[str, Run, MlflowClient]) -> None:
    objective, run, client = shown
    expected = {"objective": objective, "optimizer.name": "adam_larc", "encoder.width": "8"}
    assert expected.items() <= run.data.params.items()
    tags = run.data.tags
    assert {"mlflow.source.git.commit", "git_dirty", "version.torch", "machine.cpu"} <= tags.keys()
    assert tags["outcome"] == "completed"
    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert {use: data.name for use, data in inputs.items()} == {
        use: f"blobs/{use}" for use in ("pretrain", "probe", "select", "test")
    }
    assert {data.digest for data in inputs.values()} == {tags["data_fingerprint"]}
    files = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert files == ["config.yaml", "environment.txt"]


def test_the_encoder_is_a_model_of_the_run(shown: tuple[str, Run, MlflowClient]) -> None:
    _, run, client = shown
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.source_run_id) == ("encoder", run.info.run_id)


def test_the_load_of_the_machine_is_no_part_of_the_numbers(
    shown: tuple[str, Run, MlflowClient], storage: Path
) -> None:
    store = Ledger(storage)
    for record in store.all():
        rows = store.history(record.trial_id)
        assert not any(name.startswith("system/") for row in rows for name in row.metrics)
