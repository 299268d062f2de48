"""Additions to the JSON schema of study files: names of transformations."""

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
# An editor doesn't know names of custom transformations; without any it can mark a wrong name.
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
