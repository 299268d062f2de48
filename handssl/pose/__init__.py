"""Skeleton, cameras, the 2.5D pose and the errors of a prediction: pure functions without I/O.

They accept numpy arrays and tensors with any leading axes; lengths are metres, metrics millimetres.
"""

from handssl.pose.camera import back_project, crop_camera, move_uv, project
from handssl.pose.comparison import joint_errors
from handssl.pose.crop_box import BOX_MARGIN, CropRule, crop_box
from handssl.pose.labels import PoseLabels
from handssl.pose.metrics import pose_metrics
from handssl.pose.pose25d import Pose25D, decode_2_5d, encode_2_5d, recover_root_depth
from handssl.pose.procrustes import align_procrustes
from handssl.pose.protocols import (
    ALIGNED_PROTOCOL,
    F_SCORES,
    OFFICIAL,
    PRIMARY_PROTOCOL,
    PROTOCOLS,
    SIDE_PX,
    Protocol,
)
from handssl.pose.skeleton import BONE, BONES, JOINT_COUNT, JOINT_NAMES, PARENTS, PHALANX, ROOT

__all__ = [
    "ALIGNED_PROTOCOL",
    "BONE",
    "BONES",
    "BOX_MARGIN",
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
