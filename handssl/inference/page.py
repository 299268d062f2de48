"""A page with the photo and a hand that can be turned: one file that needs no network."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from string import Template

import cv2

from handssl.data.contact_sheet import FINGER_COLOURS
from handssl.inference.hand_pose import HandPose
from handssl.inference.overlay import overlay
from handssl.pose.skeleton import BONES, JOINT_NAMES

_TEMPLATE = Path(__file__).with_name("page.html")
_PHOTO_PX, _JPEG_QUALITY = 800, 88


def page(pose: HandPose, model: str) -> str:
    """Return the page of a predicted hand as HTML.

    Args:
        pose: The predicted hand.
        model: Name of the model.
    """
    values = {
        "points": [[round(float(v), 2) for v in point] for point in pose.xyz_mm],
        "bones": [list(bone) for bone in BONES],
        "colours": [f"rgb{colour}" for colour in FINGER_COLOURS],
        "names": [name.replace("_", " ") for name in JOINT_NAMES],
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(Path(pose.photo.name).name),
        model=escape(model),
        side=pose.photo.side,
        photo=_data_url(pose),
        assumptions="".join(f"<li>{escape(one)}</li>" for one in pose.assumptions)
        or "<li>nothing</li>",
        rows="".join(_row(pose, joint) for joint in range(len(JOINT_NAMES))),
        # `<` could end the script that contains the values.
        values=json.dumps(values).replace("<", "\\u003c"),
    )


def _row(pose: HandPose, joint: int) -> str:
    cells = [*pose.uv[joint], pose.z[joint], *pose.xyz_mm[joint]]
    texts = "".join(f"<td>{value:.{2 if n == 2 else 1}f}</td>" for n, value in enumerate(cells))
    return f'<tr><th scope="row">{JOINT_NAMES[joint].replace("_", " ")}</th>{texts}</tr>'


def _data_url(pose: HandPose) -> str:
    image = cv2.cvtColor(overlay(pose, largest_px=_PHOTO_PX), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
