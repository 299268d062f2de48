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
    from handssl.augment.own import OwnTransformation
    from handssl.data.config import PackedData, ProceduralData
    from handssl.data.sample import Reader, Sample
    from handssl.models.encoder import Encoder
    from handssl.report.of_study import write_report
    from handssl.service.remote_job import Job, submit
    from handssl.sweep.control import cancel, extend, pause, resume
    from handssl.sweep.datasets import add_dataset
    from handssl.sweep.result import StudyResult
    from handssl.sweep.running import Running
    from handssl.sweep.search import SearchResult, search
    from handssl.sweep.simulation import simulate
    from handssl.sweep.status import status
    from handssl.sweep.stream import stream
    from handssl.sweep.study import Cell, Halving, Study
    from handssl.sweep.supervised import run
    from handssl.training.config import PretrainConfig

_HOME = {
    "Cell": "handssl.sweep.study",
    "Encoder": "handssl.models.encoder",
    "Halving": "handssl.sweep.study",
    "Job": "handssl.service.remote_job",
    "OwnTransformation": "handssl.augment.own",
    "PackedData": "handssl.data.config",
    "PretrainConfig": "handssl.training.config",
    "ProceduralData": "handssl.data.config",
    "Reader": "handssl.data.sample",
    "Running": "handssl.sweep.running",
    "Sample": "handssl.data.sample",
    "SearchResult": "handssl.sweep.search",
    "Study": "handssl.sweep.study",
    "StudyResult": "handssl.sweep.result",
    "add_dataset": "handssl.sweep.datasets",
    "cancel": "handssl.sweep.control",
    "extend": "handssl.sweep.control",
    "pause": "handssl.sweep.control",
    "resume": "handssl.sweep.control",
    "run": "handssl.sweep.supervised",
    "search": "handssl.sweep.search",
    "simulate": "handssl.sweep.simulation",
    "status": "handssl.sweep.status",
    "stream": "handssl.sweep.stream",
    "submit": "handssl.service.remote_job",
    "write_report": "handssl.report.of_study",
}

__all__ = [
    "Cell",
    "Encoder",
    "Halving",
    "Job",
    "OwnTransformation",
    "PackedData",
    "PretrainConfig",
    "ProceduralData",
    "Reader",
    "Running",
    "Sample",
    "SearchResult",
    "Study",
    "StudyResult",
    "add_dataset",
    "cancel",
    "extend",
    "pause",
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
