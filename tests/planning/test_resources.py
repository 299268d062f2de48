"""How many trials share a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from handssl.errors import InterruptedStudyError
from handssl.execution.study_runner import Sweep
from handssl.planning import resources
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import divided
from handssl.runtime.interruption import Interruption
from handssl.study.study import Study
from handssl.training.config import PretrainConfig

CONTRASTIVE = PretrainConfig.parse({"composition": ["rotate", "blur"], "objective": "contrastive"})
MIXED = PretrainConfig.parse(
    {
        "composition": ["rotate", "blur"],
        "objective": "mixed",
        "mixed": "split",
        "relative_on": ["rotate"],
    }
)
SMALL = PretrainConfig.parse({"global_batch": 64, "encoder": {"width": 16, "input_px": 32}})
GB = 10**9


@pytest.mark.parametrize(
    ("configs", "gpu_gb", "number"),
    [
        ([CONTRASTIVE], 80, 3),
        ([CONTRASTIVE, MIXED], 80, 1),
        ([CONTRASTIVE, MIXED], 141, 3),
        ([MIXED], 24, 1),
        ([SMALL], 24, 4),
    ],
)
def test_as_many_trials_share_a_gpu_as_the_largest_step_lets(configs, gpu_gb, number):
    found = resources.shared(ExecutionOptions(), configs, gpu_gb * GB)
    assert found.trials_per_gpu == found.execution.sharing == number


def test_where_no_memory_is_known_each_trial_has_a_gpu_and_nothing_is_estimated(monkeypatch):
    monkeypatch.setattr(resources, "gpu_bytes", tuple)
    monkeypatch.setattr(resources, "largest_step", pytest.fail)
    found = resources.shared(ExecutionOptions(), [MIXED])
    assert found.trials_per_gpu == found.execution.sharing == 1


def test_the_smallest_gpu_decides(monkeypatch):
    monkeypatch.setattr(resources, "gpu_bytes", lambda: (141 * GB, 80 * GB))
    assert resources.shared(ExecutionOptions(), [MIXED]).trials_per_gpu == 1


def test_a_number_that_was_given_stays_and_trials_know_it():
    found = resources.shared(ExecutionOptions(trials_per_gpu=8), [MIXED], 24 * GB)
    assert found.trials_per_gpu == found.execution.sharing == 8
    several = resources.shared(ExecutionOptions(trials_per_gpu=8, workers=2), [MIXED], 24 * GB)
    assert several.execution.sharing == 1


def test_a_sweep_divides_its_gpus_by_what_was_estimated(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "gpu_bytes", lambda: (80 * GB,))
    asked = []

    def ray_cluster(address, *, options):
        asked.append(options)
        raise InterruptedStudyError("enough")

    monkeypatch.setattr("handssl.execution.study_runner.ray_cluster", ray_cluster)
    study = Study(name="x", cells=({"composition": ()},), references=False, halving=None)
    sweep = Sweep(study, tmp_path, "", Interruption())
    lacking = SimpleNamespace(missing=[SimpleNamespace(config=CONTRASTIVE)])
    with pytest.raises(InterruptedStudyError):
        sweep.execute(lacking, None, lambda event: None)
    assert [(one.trials_per_gpu, one.execution.sharing) for one in asked] == [(3, 3)]


def test_without_a_number_a_trial_has_a_gpu_for_itself():
    assert divided(16, 2, ExecutionOptions()).gpus == 1.0
    assert divided(16, 2, ExecutionOptions()).slots == 2
    assert divided(16, 0, ExecutionOptions()).slots == 16
