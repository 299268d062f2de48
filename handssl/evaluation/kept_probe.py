"""The probe of a trial as it is kept: its read-out and all that a prediction on a photo needs.

One safetensors file: the tensors of the read-out, and as metadata `handssl` the facts, in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import Field
from torch import nn

from handssl.config import Config
from handssl.data.store import PackedSplit
from handssl.errors import DataError, HandsslError, InputError
from handssl.evaluation.read_out import READ_OUTS, ReadOut
from handssl.models import EncoderConfig
from handssl.models.pretrained import digest_of, tensors_of
from handssl.pose import JOINT_NAMES, ROOT, encode_2_5d
from handssl.pose.crop_rules import BoxSource

FILE = "probe.safetensors"
Positive = Annotated[float, Field(gt=0)]
TARGET = "uv in box sides from the centre of the crop, z in lengths of the bone wrist to middle_mcp"

_KEY = "handssl"


class TypicalHand(Config):
    """Medians over the hands that a probe was fitted on, used for what a photo does not say.

    Attributes:
        bone_mm: Length of the bone wrist to middle_mcp; None if the labels have no length.
        focal: Focal length in box sides.
        box_bones: Side of the crop box at the depth of the wrist, in lengths of that bone.
        margin: Side of the crop box over the larger edge of the joints' bounding box.
    """

    bone_mm: Positive | None = None
    focal: Positive
    box_bones: Positive
    margin: Positive


class ProbeFacts(Config):
    """What a read-out means and belongs to.

    Attributes:
        version: Version of the file's layout.
        kind: Kind of the read-out, a key of `READ_OUTS`.
        probe: how it was fitted: `ridge`, `sgd` or `head`, or another word.
        encoder: Configuration of the encoder, with the side of its input.
        digest: Digest of the encoder's weights in float32, see `handssl.models.pretrained`.
        joints: Names of the predicted joints, in order.
        target: Meaning of the columns.
        data: Name and fingerprint of the labelled data.
        crop_px: Side of a stored crop in pixels.
        context: Side of a stored crop in box sides.
        boxes: Source of the crop boxes.
        hand: Typical hand of the labelled data.
    """

    version: Literal[1] = 1
    kind: str
    probe: str
    encoder: EncoderConfig
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    joints: tuple[str, ...] = JOINT_NAMES
    target: str = TARGET
    data: str
    crop_px: Annotated[int, Field(ge=1)]
    context: Positive
    boxes: BoxSource
    hand: TypicalHand


@dataclass(frozen=True, eq=False)
class KeptProbe:
    """A read-out with its facts.

    Attributes:
        read_out: The read-out.
        facts: What it means and belongs to.
    """

    read_out: ReadOut
    facts: ProbeFacts

    @classmethod
    def of(
        cls,
        read_out: ReadOut,
        encoder: nn.Module,
        config: EncoderConfig,
        split: PackedSplit,
        *,
        probe: str = "ridge",
    ) -> Self:
        """Return a read-out as it is kept.

        Args:
            read_out: The read-out.
            encoder: Encoder whose features it was fitted on.
            config: Configuration of the encoder.
            split: Split that it was fitted on.
            probe: How it was fitted.
        """
        manifest = split.manifest
        facts = ProbeFacts(
            kind=read_out.kind,
            probe=probe,
            encoder=config,
            digest=encoder_digest(encoder),
            data=f"{manifest.dataset} {manifest.fingerprint}",
            crop_px=manifest.crop_px,
            context=manifest.context,
            boxes=manifest.boxes,
            hand=typical_hand(split),
        )
        return cls(read_out, facts)

    def encode(self) -> bytes:
        """Return the file's content."""
        content: bytes = safetensors.torch.save(self.read_out.tensors(), metadata(self.facts))
        return content


def decode(content: bytes, *, where: str = FILE) -> KeptProbe:
    """Read the content of a file.

    Args:
        content: The bytes of the file.
        where: Path of the file, for messages.

    Raises:
        DataError: The content is damaged, of another version, or predicts other joints.
    """
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError) as error:
        raise DataError(f"{where}: expected a kept probe, cannot read one ({error})") from None
    return KeptProbe(*read(tensors, metadata_of(content), where=where))


def read(
    tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any] | None, *, where: str
) -> tuple[ReadOut, ProbeFacts]:
    """Return the read-out and the facts of a file's tensors and metadata.

    Raises:
        DataError: They are not those of a probe, or those of a probe of other joints.
    """
    facts = _facts(values, where)
    try:
        read_out = READ_OUTS[facts.kind].of_tensors(tensors)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{where}: expected a read-out of the kinds {', '.join(READ_OUTS)}, found "
            f"{facts.kind!r} ({error})"
        ) from None
    return read_out, facts


def _facts(values: Mapping[str, Any] | None, where: str) -> ProbeFacts:
    if values is None:
        raise DataError(
            f"{where}: expected weights with a probe of handssl, found none in the file; export "
            "one with `handssl export RUN --format safetensors`"
        )
    joints = tuple(values.get("joints", ()))
    if joints != JOINT_NAMES:
        raise DataError(
            f"{where}: expected the {len(JOINT_NAMES)} joints {JOINT_NAMES[0]} to "
            f"{JOINT_NAMES[-1]} in handssl's order, found {len(joints)} "
            f"({', '.join(map(str, joints[:3]))}, ...); fit a probe on data with these joints"
        )
    try:
        return ProbeFacts.parse(values, where=where)
    except InputError as error:
        raise DataError(f"{error}\n  read it with the version of handssl that wrote it") from None
    except HandsslError as error:
        raise DataError(str(error)) from None


def metadata(facts: Config) -> dict[str, str]:
    """Return facts as metadata of a safetensors file."""
    return {_KEY: json.dumps(facts.model_dump(mode="json"), sort_keys=True)}


def metadata_of(content: bytes) -> dict[str, Any] | None:
    """Return the facts in the metadata of a safetensors file; None if there are none.

    Example:
        >>> content = safetensors.torch.save({"a": torch.zeros(1)}, {"handssl": '{"b": 1}'})
        >>> metadata_of(content)
        {'b': 1}
    """
    length = int.from_bytes(content[:8], "little")
    found = json.loads(content[8 : 8 + length]).get("__metadata__", {}).get(_KEY)
    return None if found is None else dict(json.loads(found))


def encoder_digest(encoder: nn.Module) -> str:
    """Return the digest of an encoder's weights in float32."""
    tensors = tensors_of(encoder)
    return digest_of({name: one.detach().cpu().float() for name, one in tensors.items()})


def typical_hand(split: PackedSplit) -> TypicalHand:
    """Return the medians over the completely labelled hands of a split.

    With K the camera of the crop and b the pixels of a box, the focal length is sqrt(det K_2) / b
    box sides, and a box at the depth Z of the wrist is Z b / sqrt(det K_2) long.

    Args:
        split: A labelled split.
    """
    rows = split.label("valid").all(axis=1)
    camera, xyz, uv = (split.label(name)[rows] for name in ("camera", "xyz", "uv"))
    focal = np.sqrt(np.abs(np.linalg.det(camera[:, :2, :2]))) / split.box_px
    bone = encode_2_5d(xyz, camera).scale
    extent = (uv.max(axis=1) - uv.min(axis=1)).max(axis=1) / split.box_px
    return TypicalHand(
        bone_mm=1000.0 * float(np.median(bone)),
        focal=float(np.median(focal)),
        box_bones=float(np.median(xyz[:, ROOT, 2] / bone / focal)),
        margin=float(np.median(1.0 / extent)),
    )
