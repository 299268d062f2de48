"""Ray Train trainer whose group of workers ends with the first fault."""

from __future__ import annotations

from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from handssl.execution.train.worker import ListeningConfig, work


class _Trainer(TorchTrainer):  # type: ignore[misc]
    """Trainer without the detached actor that frees the resources of a killed controller.

    That actor never ends once it has done so (Ray 2.60); `Group.close` frees them instead.
    """

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        return [call for call in made if not isinstance(call, PlacementGroupCleanerCallback)]


def build_trainer(
    settings: dict[str, Any], workers: int, *, use_gpu: bool, scratch: str
) -> TorchTrainer:
    """Return a trainer that starts workers and waits for them.

    Ray Train's own restarts are disabled: it would start the same number of workers again, even if
    a node is permanently lost, and they do not outlive its controller.

    Args:
        settings: Argument of `work`.
        workers: Number of workers.
        use_gpu: Whether each worker uses one GPU; otherwise one CPU.
        scratch: Temporary folder that all nodes see.
    """
    return _Trainer(
        work,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        torch_config=ListeningConfig(backend="nccl" if use_gpu else "gloo"),
        run_config=RunConfig(
            name="trial",
            storage_path=scratch,
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        ),
    )
