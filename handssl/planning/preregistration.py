"""Preregistration: the plan fixed before the first result, its hash, and later deviations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handssl.errors import InputError
from handssl.ledger import Ledger
from handssl.planning.data import DataFacts, inspect_dataset
from handssl.planning.noise import measured_floors, primary_noise
from handssl.pose.protocol_ids import primary_protocol
from handssl.pose.protocols import PRIMARY_PROTOCOL
from handssl.runtime.shell_commands import command
from handssl.study.events import OnEvent, StudyMessage
from handssl.study.identity import NUMERICS_VERSION
from handssl.study.stages import StageBase
from handssl.study.study import Study
from handssl.training.config import same_content

Preregistration = dict[str, str]


def preregistration(study: Study, storage: Path) -> Preregistration:
    """Return everything that is fixed beforehand, flat: dotted name to text.

    Args:
        study: The study; its name is not part of the result.
        storage: Folder in which its data are searched.
    """
    values = study.model_dump(mode="json", exclude={"name"})
    values["stages"] = [
        _without_added(*one) for one in zip(study.stages, values["stages"], strict=True)
    ]
    for key in ("stages", "cells"):
        values[key] = {_key(one, number): one for number, one in enumerate(values[key])}
    facts = inspect_dataset(study.data, storage)
    values["primary"] = {"measure": "median_mm on select", "protocol": _protocol(facts)}
    sets = [data for stage in study.all_stages for data in stage.datasets]
    values["data"]["described"] = facts.described
    values["other_data"] = [inspect_dataset(data, storage).described for data in sets]
    values["numerics"] = NUMERICS_VERSION
    values["pretrain"] = same_content(values["pretrain"])
    return _flat(values)


def _without_added(stage: StageBase, values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out later options at the value of plans without them: those keep their hash."""
    return {k: v for k, v in values.items() if k not in stage.added or v != stage.added[k]}


def _protocol(facts: DataFacts) -> str:
    if facts.boxes is None:
        return f"{PRIMARY_PROTOCOL}, with the suffix of the boxes of the packed data"
    return primary_protocol(facts.boxes)


def plan_hash(plan: Mapping[str, str]) -> str:
    """Return the hash of a plan, 12 hexadecimal characters.

    Example:
        >>> len(plan_hash({"blocks": "1,2"})), plan_hash({"a": "1"}) == plan_hash({"a": "2"})
        (12, False)
    """
    text = json.dumps(dict(plan), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def deviations(first: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line for each value that differs from the first plan.

    Example:
        >>> deviations({"blocks": "1,2,3", "x": "1"}, {"blocks": "1,2,3,4", "x": "1"})
        ['blocks: 1,2,3 -> 1,2,3,4']
    """
    names = [name for name in {**first, **now} if first.get(name) != now.get(name)]
    return [f"{n}: {first.get(n, 'absent')} -> {now.get(n, 'absent')}" for n in sorted(names)]


def keep(study: Study, storage: Path, ledger: Ledger, on_event: OnEvent) -> str:
    """Store a study's plan at its first run; at later runs, report how the study deviates from it.

    Args:
        study: The study about to be run.
        storage: Folder of the results.
        ledger: Ledger that stores the plan.
        on_event: Called with the hash, and with every deviation.

    Returns:
        The hash of the plan that is run; empty for a single pretraining, which has no plan.

    Raises:
        InputError: The study was first run with another version of the numerics.
    """
    if is_single(study):
        return ""
    now = preregistration(study, storage)
    current = plan_hash(now)
    # No part of the hash: noise may be measured at any time, and stages follow what was known.
    noise = primary_noise(measured_floors(ledger, study.name))
    kept = {"hash": current, "registered": now, "noise_mm": noise}
    first = ledger.studies.keep_plan(study.name, kept)
    _require_same_numerics(first["registered"], study.name, storage)
    ledger.studies.keep_study(study.name, study.model_dump(mode="json"))
    on_event(StudyMessage(f"plan {current}"))
    if first["hash"] != current:
        found = deviations(first["registered"], now)
        ledger.studies.add_deviation(study.name, current, found)
        for line in found:
            on_event(StudyMessage(f"deviates from plan {first['hash']}: {line}"))
    return current


def numerics_of(plan: Mapping[str, Any] | None) -> str:
    """Return the version of the numerics under which a study was first run.

    Args:
        plan: Plan of the study from the ledger; None before its first run.
    """
    registered: Mapping[str, str] = (plan or {}).get("registered", {})
    return registered.get("numerics", str(NUMERICS_VERSION))


def _require_same_numerics(registered: Preregistration, study: str, storage: Path) -> None:
    version = numerics_of({"registered": registered})
    if version == str(NUMERICS_VERSION):
        return
    report = command("report", study, "--storage", str(storage))
    anew = command("study", "run", "STUDY.yaml", "--storage", "handssl-runs-new")
    raise InputError(
        f"study {study}: its results in {storage} have numerics version {version}, this version of "
        f"handssl computes with {NUMERICS_VERSION}, which gives other numbers. The results are "
        f"still shown by {report}; to plan and run the study anew, choose another storage: {anew}"
    )


def is_single(study: Study) -> bool:
    """Return whether a study is a single run of `handssl pretrain` or `handssl finetune`."""
    return study.stage in ("pretrain", "finetune") and not study.stages and not study.references


def plan_facts(ledger: Ledger, study: str) -> dict[str, str]:
    """Return a report's facts about a study's plan: its hash and every deviation."""
    plan = ledger.studies.plan(study)
    if plan is None:
        return {}
    facts = {"plan": str(plan["hash"])}
    for later, lines in plan.get("later", {}).items():
        facts[f"deviations under plan {later}"] = "; ".join(lines)
    return facts


def _key(one: Mapping[str, Any], number: int) -> str:
    return str(one.get("name", number))


def _flat(value: Any, prefix: str = "") -> Preregistration:
    if isinstance(value, Mapping) and value:
        parts = (_flat(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in value.items())
        return {name: text for part in parts for name, text in part.items()}
    if isinstance(value, list):
        return {prefix: ",".join(map(_text, value))}
    return {prefix: _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)
