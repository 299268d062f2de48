"""Checkpoints: content, format, writing, retention and locking."""

from handssl.training.checkpoints.folder import CheckpointFolder, Mirror
from handssl.training.checkpoints.lock import RunLock
from handssl.training.checkpoints.reading import RunState

__all__ = ["CheckpointFolder", "Mirror", "RunLock", "RunState"]
