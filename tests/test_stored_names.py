"""Names that stored data refer to: renaming one makes storages, queues or models unreadable."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from handssl.ledger.tables import LEDGER
from handssl.planning.preregistration import preregistration
from handssl.service.dispatch import workflows
from handssl.service.queue.tables import SCHEMA
from handssl.study.study import Study
from handssl.tracking import encoder_model
from handssl.transforms import AugmentConfig
from tests.trial_ids import CUSTOM

TABLES = {
    "ledger": {
        "version": 2,
        "claims": "trial_id owner until_s",
        "log": "number study stage trial_id kind epoch value",
        "points": "trial_id epoch metrics time_ms",
        "requests": "number study kind detail time_ms",
        "studies": "name plan",
        "trials": "trial_id study stage cell composition objective block outcome epoch epochs "
        "metrics mlflow_run_id tags config",
    },
    "queue": {
        "version": 1,
        "job_events": "number job time_s state attempt message",
        "jobs": "id queue user study key document priority state wanted attempt lost retries "
        "time_limit_s gpu_hours submitted_s started_s ended_s used_s cause message",
        "leases": "name holder until_s",
        "tokens": "id name role digest created_s revoked_s",
    },
}
STEPS = {"submit", "watch", "finish"}  # of the DBOS workflow `attempt`
MODEL_LOADER = "handssl.tracking.encoder_code"  # in every MLflow model
EARLIER_FIELDS = {"custom": "own"}  # in records and checkpoints of numerics version 2


@pytest.mark.parametrize("schema", [LEDGER, SCHEMA], ids=lambda schema: schema.what)
def test_tables_and_columns_keep_their_names(schema):
    found = {table.name: " ".join(table.columns.keys()) for table in schema.tables.sorted_tables}
    assert {"version": schema.version, **found} == TABLES[schema.what]


def test_durable_workflows_keep_the_names_of_their_steps():
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(workflows))) if _is_step(node)]
    names = {keyword.value.value for call in calls for keyword in call.keywords}
    assert (workflows._WORKFLOW, names) == ("attempt", STEPS)


def _is_step(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "DBOS.step"


def test_models_name_a_loader_that_can_be_imported():
    assert f'loader_module="{MODEL_LOADER}"' in inspect.getsource(encoder_model)
    assert callable(importlib.import_module(MODEL_LOADER)._load_pyfunc)


def test_custom_transformations_of_earlier_records_are_read_by_their_earlier_name():
    config = AugmentConfig.parse({"custom": CUSTOM})
    stored = config.model_dump(mode="json")
    earlier = {EARLIER_FIELDS.get(name, name): value for name, value in stored.items()}
    assert AugmentConfig.parse(earlier) == config == AugmentConfig.parse(stored)


def test_plans_are_stored_under_the_names_that_reports_read(tmp_path):
    study = Study.parse({"name": "x", "cells": [{"composition": ["rotate"]}]})
    assert preregistration(study, tmp_path)["primary.measure"] == "median_mm on select"
