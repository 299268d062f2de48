"""Write and read predictions in the format of the official FreiHAND evaluation.

    pred.json = [xyz of all images (N, 21, 3), vertices (N, 778, 3)], metres

A method may use one image, its camera and the length of one phalanx (`scale`): the root depth is
recovered from the predicted 2.5D pose. There are no meshes here, so vertices are 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.errors import DataError, InputError
from handssl.pose import BONE, decode_2_5d, recover_root_depth
from handssl.pose.comparison import resize

OFFICIAL_COUNT = 3_960
VERTICES = 778
Floats = NDArray[np.float64]


def freihand_predictions(
    uv: Floats, z: Floats, camera: Floats, scale: Floats, *, fallback_depth: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Convert 2.5D poses to 3D with recovered root depths and the official scale.

    Args:
        uv: (N, 21, 2), predicted pixels.
        z: (N, 21), predicted depths in bone lengths.
        camera: (N, 3, 3), of the image of these pixels.
        scale: (N,), true length middle_mcp to middle_pip, metres.
        fallback_depth: Root depth in bone lengths for hands whose depth cannot be recovered; the
            file has no value for "unknown".

    Returns:
        (N, 21, 3), metres, and bool (N,): the hands with the fallback; report their number.

    Raises:
        InputError: The phalanx of a hand has no length, or shapes differ.
    """
    depth, well_posed = recover_root_depth(uv, z, camera)
    depth = np.where(well_posed, depth, fallback_depth)
    xyz = decode_2_5d(uv, z, camera, scale=np.ones(len(uv)), bone=BONE, root_depth=depth)
    sized = resize(xyz, scale)
    lost = np.isnan(sized[:, 0, 0])
    if lost.any():
        raise InputError(
            f"predictions: expected hands whose middle phalanx has a length, got "
            f"{int(lost.sum())} without, the first at row {int(np.flatnonzero(lost)[0])}"
        )
    return sized, ~well_posed


def write_freihand_predictions(path: Path, xyz: Floats, *, count: int = OFFICIAL_COUNT) -> None:
    """Write the official prediction file, or a .zip that contains it as pred.json.

    Args:
        path: Path of the file, which is replaced atomically.
        xyz: (N, 21, 3), metres, in the order of the evaluation images.
        count: Expected number of hands; the official set has 3,960.

    Raises:
        InputError: The number of hands is wrong, or joints are not finite.
        DataError: The file cannot be written.
    """
    if xyz.shape != (count, 21, 3):
        raise InputError(f"{path}: expected predictions of shape {(count, 21, 3)}, got {xyz.shape}")
    if not np.isfinite(xyz).all():
        raise InputError(f"{path}: expected finite joints, got NaN or infinity")
    text = _text(xyz)
    partial = path.with_name(path.name + ".partial")
    try:
        if path.suffix == ".zip":
            with ZipFile(partial, "w", ZIP_DEFLATED) as archive:
                archive.writestr("pred.json", text)
        else:
            partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def read_freihand_predictions(path: Path) -> Floats:
    """Return the joints (N, 21, 3) of a prediction file, metres.

    Raises:
        DataError: The file cannot be read or is not a prediction file.
    """
    try:
        if path.suffix == ".zip":
            with ZipFile(path) as archive:
                document = json.loads(archive.read("pred.json"))
        else:
            document = json.loads(path.read_text(encoding="utf-8"))
        xyz = np.array(document[0], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{path}: expected FreiHAND predictions, found none ({error})") from None
    if xyz.ndim != 3 or xyz.shape[1:] != (21, 3):
        raise DataError(f"{path}: expected joints of shape (N, 21, 3), found {xyz.shape}")
    return xyz


def _text(xyz: Floats) -> str:
    """Return the JSON, rounded to micrometres, which is precise enough and a third of the size."""
    joints = json.dumps(xyz.round(6).tolist(), separators=(",", ":"))
    mesh = "[" + ",".join(["[0,0,0]"] * VERTICES) + "]"
    return f"[{joints},[{','.join([mesh] * len(xyz))}]]"
