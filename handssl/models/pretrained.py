"""Read the weights of an encoder from files of torchvision, PeCLR and handssl."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from handssl.errors import DataError, InputError

Tensors = dict[str, torch.Tensor]
# PeCLR keeps torchvision's modules in a sequence, in this order.
_IN_SEQUENCE = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
_NOT_WEIGHTS = "num_batches_tracked"  # a counter that BatchNorm with a fixed momentum never reads


def read_encoder(path: Path, encoder: nn.Module) -> Tensors:
    """Return the tensors of an encoder from a file, under the encoder's own names.

    The file may have the names of the encoder (torchvision's for ResNet-18) or those of PeCLR's
    checkpoints, after any prefix such as `module.` or `encoder.`, as the whole file or under
    `state_dict` or `model`. Classifiers and heads are left out.

    Args:
        path: File of safetensors, or one written by `torch.save` that contains tensors and plain
            values only.
        encoder: Encoder that will have the weights.

    Returns:
        Float32 tensors on the CPU by name, without counters of batches.

    Raises:
        InputError: The file is missing, or its names or shapes are not those of the encoder.
        DataError: The file cannot be read, or has values that are not finite.
    """
    found = _state_dict(_content(path))
    shapes = {name: tuple(t.shape) for name, t in tensors_of(encoder).items()}
    names = _names_in(found, list(shapes), path)
    tensors = {name: found[there].detach().cpu().float() for name, there in names.items()}
    _require_shapes(tensors, shapes, path)
    if broken := [name for name, one in tensors.items() if not bool(one.isfinite().all())]:
        raise DataError(f"{path}: expected finite weights, {broken[0]} has others")
    return tensors


def tensors_of(encoder: nn.Module) -> Tensors:
    """Return the weights and BatchNorm statistics of an encoder, without counters of batches."""
    state = encoder.state_dict()
    return {name: one for name, one in state.items() if not name.endswith(_NOT_WEIGHTS)}


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the digest of tensors: of names, shapes and values, whatever file they came from.

    Args:
        tensors: Float32 tensors by name.

    Returns:
        32 hexadecimal characters.

    Example:
        >>> one = {"a": torch.zeros(2), "b": torch.ones(1)}
        >>> digest_of(one) == digest_of(dict(reversed(one.items())))
        True
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, one in sorted(tensors.items()):
        digest.update(f"{name} {tuple(one.shape)} ".encode())
        digest.update(one.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a file with weights, found none") from None
    except pickle.UnpicklingError:
        raise DataError(
            f"{path}: expected tensors and plain values only, found Python objects, which could "
            "run code; if you trust the file, save its state dict alone: `torch.save(torch.load("
            f"{str(path)!r}, weights_only=False)['state_dict'], 'weights.pth')`"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise DataError(f"{path}: expected a state dict, cannot read one ({reason})") from None


def _state_dict(content: Any) -> Tensors:
    """Return the tensors of a file, which may lie under `state_dict` or `model`."""
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    items = content.items() if isinstance(content, Mapping) else ()
    return {str(name): one for name, one in items if isinstance(one, torch.Tensor)}


def _names_in(found: Tensors, names: list[str], path: Path) -> dict[str, str]:
    """Return the name in the file of every name of the encoder."""
    readings = [
        {name: prefix + rename(name) for name in names}
        for prefix, rename in _readings(found, names)
    ]
    whole = [one for one in readings if found.keys() >= set(one.values())]
    if len(whole) == 1:
        _require_no_more(found, whole[0], path)
        return whole[0]
    if whole:
        raise InputError(
            f"{path}: expected one encoder, found {len(whole)}, e.g. at {whole[0][names[0]]} and "
            f"{whole[1][names[0]]}; save the tensors of one of them"
        )
    there = next((n for one in readings for n in one.values() if n not in found), names[0])
    raise InputError(
        f"{path}: expected weights of this encoder ({names[0]} to {names[-1]}), under these names "
        f"or PeCLR's, found {len(found)} tensors ({', '.join([*found][:3])}, ...) without {there}"
    )


def _readings(found: Tensors, names: list[str]) -> list[tuple[str, Any]]:
    """Return (prefix, renaming) pairs under which the file has the encoder's first name."""
    return [
        (there.removesuffix(rename(names[0])), rename)
        for rename in (str, _in_sequence)
        for there in found
        if there == rename(names[0]) or there.endswith("." + rename(names[0]))
    ]


def _in_sequence(name: str) -> str:
    """Return the name of one of ResNet's tensors in PeCLR's checkpoints.

    Example:
        >>> _in_sequence("layer1.0.conv1.weight")
        'features.4.0.conv1.weight'

    Reference:
        src/models/resnet_model.py of dahiyaaneesh/peclr.
    """
    module, _, rest = name.partition(".")
    return f"features.{_IN_SEQUENCE.get(module, module)}.{rest}"


def _require_no_more(found: Tensors, names: Mapping[str, str], path: Path) -> None:
    """Refuse a deeper network, whose names include those of the encoder."""
    modules = {there.removesuffix(name.partition(".")[2]) for name, there in names.items()}
    known = set(names.values())
    for there in found:
        if there in known or there.endswith(_NOT_WEIGHTS) or not there.startswith((*modules,)):
            continue
        raise InputError(
            f"{path}: expected a network with the layers of this encoder, found {there} too, as in "
            "a deeper one; name such a network in encoder.name (docs/api.md)"
        )


def _require_shapes(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    for name, shape in shapes.items():
        if (there := tuple(tensors[name].shape)) != shape:
            raise InputError(
                f"{path}: expected {name} with the shape {shape} of this encoder, found {there}; "
                "weights of torchvision's ResNet-18 need `--set pretrain.encoder.width=64`"
            )
