"""handssl: distributed sweeps of self-supervised pretraining for hand-pose encoders.

    import handssl
    from tune_spaces import objectives

    result = handssl.run(objectives.study(blocks=(1,)), storage="runs/first")
    result.table()

Names are resolved when they are first used, so that `import handssl` costs nothing and a machine
without Ray can still pretrain and probe.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handssl.data.config import PackedData, ProceduralData
    from handssl.data.sample import Reader, Sample
    from handssl.execution.api import run
    from handssl.execution.control import cancel, extend, pause, resume
    from handssl.execution.datasets.custom_dataset import add_dataset
    from handssl.execution.finetune import finetune
    from handssl.execution.result import StudyResult
    from handssl.execution.search import SearchResult, search
    from handssl.execution.status import status
    from handssl.execution.stream import stream
    from handssl.execution.trained.models import open_model, predict
    from handssl.execution.trained.predictions import read_predictions
    from handssl.models.encoder import Encoder
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.report.of_study import write_report
    from handssl.scheduling.simulation import simulate
    from handssl.service.client.remote_job import Job, submit
    from handssl.study.study import Cell, Halving, Study
    from handssl.training.config import PretrainConfig
    from handssl.transforms.custom import CustomTransformation

_HOME = {
    "Cell": "handssl.study.study",
    "Encoder": "handssl.models.encoder",
    "Halving": "handssl.study.study",
    "Job": "handssl.service.client.remote_job",
    "CustomTransformation": "handssl.transforms.custom",
    "PackedData": "handssl.data.config",
    "PretrainConfig": "handssl.training.config",
    "ProceduralData": "handssl.data.config",
    "Reader": "handssl.data.sample",
    "ExecutionOptions": "handssl.planning.execution_options",
    "Sample": "handssl.data.sample",
    "SearchResult": "handssl.execution.search",
    "Study": "handssl.study.study",
    "StudyResult": "handssl.execution.result",
    "add_dataset": "handssl.execution.datasets.custom_dataset",
    "cancel": "handssl.execution.control",
    "extend": "handssl.execution.control",
    "open_model": "handssl.execution.trained.models",
    "pause": "handssl.execution.control",
    "finetune": "handssl.execution.finetune",
    "predict": "handssl.execution.trained.models",
    "read_predictions": "handssl.execution.trained.predictions",
    "resume": "handssl.execution.control",
    "run": "handssl.execution.api",
    "search": "handssl.execution.search",
    "simulate": "handssl.scheduling.simulation",
    "status": "handssl.execution.status",
    "stream": "handssl.execution.stream",
    "submit": "handssl.service.client.remote_job",
    "write_report": "handssl.report.of_study",
}

__all__ = [
    "Cell",
    "CustomTransformation",
    "Encoder",
    "ExecutionOptions",
    "Halving",
    "Job",
    "PackedData",
    "PretrainConfig",
    "ProceduralData",
    "Reader",
    "Sample",
    "SearchResult",
    "Study",
    "StudyResult",
    "add_dataset",
    "cancel",
    "extend",
    "finetune",
    "open_model",
    "pause",
    "predict",
    "read_predictions",
    "resume",
    "run",
    "search",
    "simulate",
    "status",
    "stream",
    "submit",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'handssl' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
