"""Checkpoints: what they hold, how they are written, which are kept, who may write."""

from handssl.training.checkpoints.folder import CheckpointFolder, Mirror
from handssl.training.checkpoints.lock import RunLock
from handssl.training.checkpoints.state import RunState

__all__ = ["CheckpointFolder", "Mirror", "RunLock", "RunState"]
