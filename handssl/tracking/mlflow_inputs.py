"""Data of a trial as dataset inputs of its run, from the tags of its record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

SOURCE_TAG = "data_source"
_ROLES = {"pretrain": "pretrain", "probe": "labelled", "select": "labelled", "test": "labelled"}
_MEMBER = re.compile(r"data_pretrain_\d+")
_DIGEST_CHARACTERS = 36  # MLflow's limit


def source_tag(labelled: Mapping[str, Any], *pretrain: Mapping[str, Any]) -> dict[str, str]:
    """Return the tag that describes the sources of a trial's data.

    Args:
        labelled: Description of the store with probe, select and test, as JSON values.
        pretrain: Description of the store with pretrain, equal if it is the same store; of a union
            those of all its stores.
    """
    described = {"labelled": dict(labelled)}
    if len(pretrain) > 1:
        described |= {f"pretrain_{number}": dict(one) for number, one in enumerate(pretrain)}
    elif pretrain[0] != labelled:
        described["pretrain"] = dict(pretrain[0])
    return {SOURCE_TAG: json.dumps(described, sort_keys=True)}


def data_inputs(tags: Mapping[str, str]) -> list[DatasetInput]:
    """Return one input for each use of data: pretrain, probe, select, test.

    Args:
        tags: Tags of a record: `data_labelled` and `data_pretrain` hold name and fingerprint.

    Returns:
        Inputs with the fingerprint as digest; empty if the record has no such tags.
    """
    sources = json.loads(tags.get(SOURCE_TAG, "{}"))
    inputs = []
    union = [(one.removeprefix("data_")) for one in tags if _MEMBER.fullmatch(one)]
    for use, role in (*_ROLES.items(), *(("pretrain", role) for role in union)):
        name, _, fingerprint = tags.get(f"data_{role}", "").rpartition(" ")
        if name:
            source = sources.get(role) or sources.get("labelled") or {"dataset": name}
            inputs.append(_input(use, name, fingerprint, source))
    return inputs


def _input(use: str, name: str, fingerprint: str, source: Mapping[str, Any]) -> DatasetInput:
    rows = source.get("splits", {}).get(use)
    dataset = Dataset(
        name=f"{name}/{use}",
        digest=fingerprint[:_DIGEST_CHARACTERS],
        # The only source type with a free description that MLflow can read back.
        source_type="code",
        source=json.dumps({"tags": {key: str(value) for key, value in source.items()}}),
        profile=None if rows is None else json.dumps({"num_rows": rows}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", use)])
