"""The official convention of InterHand2.6M with plain loops, read straight from the JSON.

Official order inside a hand: thumb, index, middle, ring, little finger, each tip to base, wrist
last; cam = R (X - campos), mm; u = f x / z + c.
"""

from __future__ import annotations

import json

OFFICIAL_NAMES = [f"{finger}{k}" for finger in "timrl" for k in (4, 3, 2, 1)] + ["wrist"]
OUR_NAMES = ["wrist"] + [f"{finger}{k}" for finger in "timrl" for k in (1, 2, 3, 4)]


def load(root, released):
    """Return the contents of the three files of a split, of either tree."""
    (data,) = root.glob(f"annotations/*/InterHand2.6M_{released}_data.json")
    return tuple(
        json.loads(data.with_name(f"InterHand2.6M_{released}_{kind}.json").read_text())
        for kind in ("data", "camera", "joint_3d")
    )


def single_hands(root, released):
    """Yield image entry, hand type, and (camera xyz mm, pixels) or None for each of our joints."""
    data, cameras, joints = load(root, released)
    for annotation in sorted(data["annotations"], key=lambda entry: entry["image_id"]):
        if annotation["hand_type"] == "interacting":
            continue
        (image,) = (i for i in data["images"] if i["id"] == annotation["image_id"])
        world = joints[str(image["capture"])][str(image["frame_idx"])]
        camera = cameras[str(image["capture"])]
        offset = 21 if annotation["hand_type"] == "left" else 0
        hand = []
        for name in OUR_NAMES:
            joint = offset + OFFICIAL_NAMES.index(name)
            if annotation["joint_valid"][joint][0] and world["joint_valid"][joint][0]:
                hand.append(project(world["world_coord"][joint], camera, image["camera"]))
            else:
                hand.append(None)
        yield image, annotation["hand_type"], hand


def project(point, camera, name):
    """Return camera coordinates and pixels of a point of the world."""
    position, rotation = camera["campos"][name], camera["camrot"][name]
    moved = [point[k] - position[k] for k in range(3)]
    x, y, z = (sum(rotation[i][k] * moved[k] for k in range(3)) for i in range(3))
    (fx, fy), (cx, cy) = camera["focal"][name], camera["princpt"][name]
    return (x, y, z), (fx * x / z + cx, fy * y / z + cy)
