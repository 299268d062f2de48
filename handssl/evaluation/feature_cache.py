"""Cache of features on disk, with keys from encoder and data."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from handssl.data.store import PackedSplit
from handssl.evaluation.features import extract_features


@dataclass(frozen=True)
class FeatureCache:
    """A folder of features; damaged files are recomputed.

    Attributes:
        folder: Folder of the cache; created when needed.
        max_bytes: Maximum total size in bytes; least recently used files are removed first.
    """

    folder: Path
    max_bytes: int = 2 * 10**9

    def __call__(self, encoder: nn.Module, store: PackedSplit, *, view_px: int) -> torch.Tensor:
        """Return the features of a split as `extract_features` computes them.

        Args:
            encoder: Module that maps images to features.
            store: The packed split.
            view_px: Side of the encoder's input in pixels.

        Returns:
            float32 (N, dim), on the CPU.
        """
        path = self.folder / f"{feature_key(encoder, store, view_px)}.safetensors"
        known = _read(path, len(store))
        if known is not None:
            os.utime(path)
            return known
        features = extract_features(encoder, store, view_px=view_px)
        self._keep(path, features)
        return features

    def _keep(self, path: Path, features: torch.Tensor) -> None:
        """Write a file atomically; on a full disk nothing is cached."""
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                content = safetensors.torch.save({"features": features})
                file.write(content + hashlib.sha256(content).digest())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            self._forget_oldest()
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def _forget_oldest(self) -> None:
        files = sorted(self.folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if total <= self.max_bytes:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


def feature_key(encoder: nn.Module, store: PackedSplit, view_px: int) -> str:
    """Return a hash (32 hex characters) of encoder weights and buffers, data, split and input."""
    digest = hashlib.sha256(f"{store.manifest.fingerprint} {store.name} {view_px}".encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def _read(path: Path, rows: int) -> torch.Tensor | None:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[:-32]).digest() != content[-32:]:
            return None
        features = safetensors.torch.load(content[:-32])["features"]
    except (OSError, SafetensorError, KeyError):
        return None
    return features if len(features) == rows else None
