"""Facts of a report besides its results: settings shared by all trials, machine and versions."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from handssl.ledger.record import TrialRecord
from handssl.ledger.references import REFERENCE_OBJECTIVES
from handssl.pose.protocol_ids import protocol_words, protocols_of
from handssl.runtime.installation import git_state
from handssl.runtime.provenance import library_versions
from handssl.tracking.conventions import flatten

_VARIES = ("composition", "objective", "seed", "augmentation")


def study_facts(records: Sequence[TrialRecord], storage: Path) -> dict[str, str]:
    """Return the facts shown below a study's figures.

    Args:
        records: Records of the study.
        storage: Storage of the results.

    Returns:
        Name to text: plan, machine that wrote the page, versions, then shared settings.
    """
    outcomes = Counter(record.outcome for record in records)
    blocks = sorted({record.block for record in records})
    versions = {f"version of {k.partition('.')[2]}": v for k, v in library_versions().items()}
    return {
        "stage": ", ".join(sorted({record.stage for record in records})),
        "blocks (seeds)": ", ".join(map(str, blocks)),
        "trials": ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
        "protocol": protocol_words(protocols_of(record.tags for record in records)),
        "storage": str(storage),
        "page written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "on": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        **trained_on(records),
        **_commit(),
        **versions,
        **shared_settings(records),
    }


def trained_on(records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the processors, vector widths and threads of trained trials, with their numbers.

    Args:
        records: Records of a study; those without these tags are left out.

    """
    names = ("machine.cpu", "machine.vector", "machine.threads")
    kinds = Counter(
        "{}, {}, threads: {}".format(*(record.tags[name] for name in names))
        for record in records
        if {*names} <= record.tags.keys() and record.objective != REFERENCE_OBJECTIVES[0]
    )
    text = "; ".join(f"{kind} ({count} trials)" for kind, count in kinds.most_common())
    return {"trained on": text} if text else {}


def shared_settings(records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the settings that are equal in all trained trials, under dotted names.

    Args:
        records: Records of a study; references without training are ignored.
    """
    trained = [record for record in records if record.objective != REFERENCE_OBJECTIVES[0]]
    flat = [flatten(record.config) for record in trained]
    common = set.intersection(*(set(one.items()) for one in flat)) if flat else set()
    return {k: v for k, v in sorted(common) if k.partition(".")[0] not in _VARIES}


def _processor() -> str:
    """Return the processor's name if Linux provides it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


def _commit() -> dict[str, str]:
    state = git_state()
    commit = state.get("mlflow.source.git.commit", "")[:12]
    changed = " with local changes" if state.get("git_dirty") == "true" else ""
    return {"commit": commit + changed} if commit else {}
