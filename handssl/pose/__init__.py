"""Skeleton, cameras, the 2.5D pose and the errors of a prediction: pure functions without I/O.

They accept numpy arrays and tensors with any leading axes; lengths are metres, metrics millimetres.

Names are imported on first use, so processes that only render or decode need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handssl.pose.camera import back_project, crop_camera, move_uv, project
    from handssl.pose.comparison import joint_errors
    from handssl.pose.crop_rules import BOX_MARGIN, CropRule, crop_box
    from handssl.pose.labels import PoseLabels
    from handssl.pose.metrics import pose_metrics
    from handssl.pose.pose25d import Pose25D, decode_2_5d, encode_2_5d, recover_root_depth
    from handssl.pose.procrustes import align_procrustes
    from handssl.pose.protocols import (
        ALIGNED_PROTOCOL,
        CROSS,
        F_SCORES,
        OFFICIAL,
        PRIMARY_PROTOCOL,
        PROTOCOLS,
        SIDE_PX,
        Protocol,
    )
    from handssl.pose.skeleton import BONE, BONES, JOINT_COUNT, JOINT_NAMES, PARENTS, PHALANX, ROOT

_HOME = {
    "ALIGNED_PROTOCOL": "protocols",
    "BONE": "skeleton",
    "BONES": "skeleton",
    "BOX_MARGIN": "crop_rules",
    "CropRule": "crop_rules",
    "F_SCORES": "protocols",
    "JOINT_COUNT": "skeleton",
    "JOINT_NAMES": "skeleton",
    "CROSS": "protocols",
    "OFFICIAL": "protocols",
    "PARENTS": "skeleton",
    "PHALANX": "skeleton",
    "PRIMARY_PROTOCOL": "protocols",
    "PROTOCOLS": "protocols",
    "Pose25D": "pose25d",
    "PoseLabels": "labels",
    "Protocol": "protocols",
    "ROOT": "skeleton",
    "SIDE_PX": "protocols",
    "align_procrustes": "procrustes",
    "back_project": "camera",
    "crop_box": "crop_rules",
    "crop_camera": "camera",
    "decode_2_5d": "pose25d",
    "encode_2_5d": "pose25d",
    "joint_errors": "comparison",
    "move_uv": "camera",
    "pose_metrics": "metrics",
    "project": "camera",
    "recover_root_depth": "pose25d",
}

__all__ = [
    "ALIGNED_PROTOCOL",
    "BONE",
    "BONES",
    "BOX_MARGIN",
    "CROSS",
    "F_SCORES",
    "JOINT_COUNT",
    "JOINT_NAMES",
    "OFFICIAL",
    "PARENTS",
    "PHALANX",
    "PRIMARY_PROTOCOL",
    "PROTOCOLS",
    "ROOT",
    "SIDE_PX",
    "CropRule",
    "Pose25D",
    "PoseLabels",
    "Protocol",
    "align_procrustes",
    "back_project",
    "crop_box",
    "crop_camera",
    "decode_2_5d",
    "encode_2_5d",
    "joint_errors",
    "move_uv",
    "pose_metrics",
    "project",
    "recover_root_depth",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'handssl.pose' has no attribute {name!r}")
    return getattr(import_module(f"handssl.pose.{_HOME[name]}"), name)
