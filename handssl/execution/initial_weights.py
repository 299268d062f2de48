"""Initial weights named by a study: found, identified by their content, copied to the storage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch

from handssl.errors import InputError
from handssl.execution.resume import find_run
from handssl.execution.trial_files import encoder_file
from handssl.ledger import Ledger
from handssl.models import EncoderConfig, InitConfig, build_encoder
from handssl.models.initial_weights import kept_weights
from handssl.models.pretrained import Tensors, digest_of, read_encoder
from handssl.study.study import Study
from handssl.training.checkpoints.writing import write_whole
from handssl.training.config import PretrainConfig

_NAMES = ("init", "init.weights")  # keys of settings and grids that name initial weights


def with_initial_weights(study: Study, storage: Path, *, keep: bool = True) -> Study:
    """Return a study with the digests of all initial weights that it names.

    The weights are copied to the storage, from which every node reads them.

    Args:
        study: The study as written.
        storage: Root of all results.
        keep: Whether to copy; otherwise nothing is written.

    Raises:
        InputError: A file or run is not there, belongs to another architecture, or differs from a
            digest that the study gives.
        DataError: A file is damaged, or the storage cannot be written.
    """
    before = study.model_dump(mode="json")
    finder = _Finder(study.pretrain, storage, keep)
    parts = {name: finder.within(before[name]) for name in ("stages", "cells")}
    init = resolve_init(study.pretrain.init, study.pretrain.encoder, storage, keep=keep)
    after = {**before, **parts, "pretrain": {**before["pretrain"], "init": init.model_dump()}}
    return study if after == before else Study.parse(after)


@dataclass(frozen=True)
class _Finder:
    pretrain: PretrainConfig
    storage: Path
    keep: bool

    def within(self, value: Any) -> Any:
        """Return plain values in which the initial weights of settings and grids are resolved."""
        if isinstance(value, list):
            return [self.within(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._settings(one) if name in ("settings", "grid") else self.within(one)
            for name, one in value.items()
        }

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        named = [value for name, value in settings.items() if name in _NAMES]
        if not named:
            return settings
        rest = {name: value for name, value in settings.items() if name not in _NAMES}
        own = {k: v for k, v in rest.items() if k.startswith("encoder.") and type(v) is not list}
        encoder = self.pretrain.merged(own).encoder
        return {**rest, "init": self._resolved(named[-1], encoder)}

    def _resolved(self, value: Any, encoder: EncoderConfig) -> Any:
        if isinstance(value, list):
            return [self._resolved(one, encoder) for one in value]
        init = InitConfig.parse(value, where="init")
        return resolve_init(init, encoder, self.storage, keep=self.keep).model_dump()


def keep_encoders(configs: Iterable[PretrainConfig], storage: Path) -> None:
    """Copy the trained encoders that trials start from to where every node reads them.

    Raises:
        InputError: A run is not there any more, or has been trained anew.
        DataError: A file is damaged, or the storage cannot be written.
    """
    for init, encoder in {(one.init, one.encoder) for one in configs}:
        resolve_init(init, encoder, storage)


def resolve_init(
    init: InitConfig, encoder: EncoderConfig, storage: Path, *, keep: bool = True
) -> InitConfig:
    """Return the configuration of initial weights with their digest.

    Args:
        init: The configuration as written, or as recorded with its digest.
        encoder: The encoder that will have the weights.
        storage: Root of all results.
        keep: Whether to copy the weights to the storage.

    Raises:
        InputError: A file or run is not there, belongs to another architecture, or is not the one
            with the digest.
        DataError: A file is damaged, or the storage cannot be written.
    """
    if init.is_random:
        return init
    if init.digest and kept_weights(storage, init.digest).is_file() and not _is_here(init):
        return init  # the file was moved or is on another machine, its content is in the storage
    tensors = read_encoder(_source(init, storage), build_encoder(encoder))
    digest = digest_of(tensors)
    if init.digest not in ("", digest):
        raise InputError(
            f"init: expected the weights {init.digest} in {init.weights}, with which it was "
            f"started, found {digest}; restore the file, or start under another name to train "
            "from the changed one"
        )
    if keep:
        _keep(tensors, kept_weights(storage, digest))
    return InitConfig(weights=init.weights, digest=digest)


def _keep(tensors: Tensors, path: Path) -> None:
    """Write initial weights into a storage, unless they are there."""
    content = safetensors.torch.save({name: one.contiguous() for name, one in tensors.items()})

    def write(file: BinaryIO) -> None:
        file.write(content)

    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, write, size_bytes=len(content))


def _is_here(init: InitConfig) -> bool:
    return bool(init.weights) and Path(init.weights).expanduser().exists()


def _source(init: InitConfig, storage: Path) -> Path:
    """Return the file of initial weights, which are given by a file, a folder or a run's name."""
    path = Path(init.weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        return encoder_file(path)
    if not init.weights or path.suffix or len(path.parts) > 1:
        raise InputError(
            f"init: expected a file with weights or a run, found no file {init.weights!r} in "
            f"{Path.cwd()}; give its path, e.g. `--init /data/resnet18.pth`"
        )
    ledger = Ledger.existing(storage)
    return encoder_file(ledger.folder(find_run(init.weights, ledger, asked="init").trial_id))
