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
    from handssl.sweep.result import StudyResult
    from handssl.sweep.runner import run
    from handssl.sweep.study import Cell, Halving, Study
    from handssl.training.config import PretrainConfig

_HOME = {
    "Cell": "handssl.sweep.study",
    "Halving": "handssl.sweep.study",
    "PackedData": "handssl.data.config",
    "PretrainConfig": "handssl.training.config",
    "ProceduralData": "handssl.data.config",
    "Study": "handssl.sweep.study",
    "StudyResult": "handssl.sweep.result",
    "run": "handssl.sweep.runner",
}

__all__ = [
    "Cell",
    "Halving",
    "PackedData",
    "PretrainConfig",
    "ProceduralData",
    "Study",
    "StudyResult",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "report":
        # The package is its own main function: handssl.report(result), handssl.report.table, ...
        return import_module("handssl.report")
    if name not in _HOME:
        raise AttributeError(f"module 'handssl' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
