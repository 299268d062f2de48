"""What the schema of study files says beyond its fields: which transformations may be named."""

from __future__ import annotations

from typing import Any

from handssl.augment import TRANSFORMATIONS

_NINE = {"items": {"enum": list(TRANSFORMATIONS)}}
_CELLS = {"items": {"properties": {"composition": _NINE, "relative_on": _NINE}}}
_STAGES = {
    "items": {
        "properties": {
            "all": _CELLS,
            "composition": _NINE,
            "compositions": {"items": _NINE},
            "transformations": _NINE,
        }
    }
}
# An editor cannot look up what own transformations are called; without any it marks a wrong name.
NAMES: dict[str, Any] = {
    "if": {
        "properties": {
            "pretrain": {
                "properties": {"augmentation": {"required": ["own"]}},
                "required": ["augmentation"],
            }
        },
        "required": ["pretrain"],
    },
    "else": {"properties": {"cells": _CELLS, "stages": _STAGES}},
}
