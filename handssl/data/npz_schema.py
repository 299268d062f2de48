"""Schema of converted datasets: names, types and shapes of the arrays in a .npz file."""

from __future__ import annotations

FIELDS: dict[str, tuple[str, str, str]] = {
    "image": ("uint8", "(N, H, W, 3)", "RGB images inside the file, for small sets"),
    "image_file": ("text", "(N,)", "or their names, relative to the folder of the .npz"),
    "xyz": ("float", "(N, 21, 3)", "joints in the camera frame; x right, y down, z forward"),
    "unit": ("text", "()", "`m` or `mm`, required with `xyz`"),
    "camera": ("float", "(N, 3, 3) or (3, 3)", "pinhole matrices, required with `xyz`"),
    "uv": ("float", "(N, 21, 2)", "joints in pixels; default: `xyz` projected by `camera`"),
    "valid": ("bool", "(N, 21)", "joints whose labels may be used; default: all"),
    "joint_order": ("text", "()", "`handssl` (default) or `interhand`"),
    "side": ("text", "(N,)", "`right` (default) or `left`; left hands are mirrored"),
    "split": ("text", "(N,)", "`pretrain` (default), `probe`, `select` or `test`"),
    "group": ("int", "(N,)", "unit not to be divided, e.g. the recording; default: the sample"),
    "id": ("int", "(N,)", "0 or more, unique over all files; default: the position"),
}
"""Name to (type, shape, meaning); `image` or `image_file` is required, the rest is optional."""


def schema() -> str:
    """Return the schema as a Markdown table."""
    rows = [
        f"| `{name}` | {kind} | {shape} | {what} |" for name, (kind, shape, what) in FIELDS.items()
    ]
    return "\n".join(["| array | type | shape | meaning |", "|---|---|---|---|", *rows])
