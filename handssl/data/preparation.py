"""Prepare the packed data of a study from its description.

Procedural hands are processed like real data: written in FreiHAND's layout, read by the FreiHAND
reader and packed. Packed stores are found by name. Existing data is reused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from handssl.data.config import CrossData, DataConfig, ProceduralData, UnionData, parts_of
from handssl.data.manifest import FILE as MANIFEST_FILE
from handssl.data.manifest import digest
from handssl.data.packing import pack
from handssl.data.procedural import write_freihand
from handssl.data.readers.freihand import FreihandReader
from handssl.data.splits import combine, combine_cross, combine_union, pretraining_images
from handssl.data.stores import find_store
from handssl.runtime.file_locks import one_at_a_time

Progress = Callable[[str, int, int], None]


def prepare(
    config: DataConfig,
    storage: Path,
    on_progress: Progress | None = None,
    *,
    workers: int = 2,
    more: Sequence[Path] = (),
) -> Path:
    """Return the data folder of a study, see `StudyData`, and create it if it is missing.

    Args:
        config: Description of the data.
        storage: Root of all results; sources are in `datasets/`, stores in `stores/`.
        on_progress: Called with (phase, done, total).
        workers: Number of processes for rendering and for packing.
        more: Folders of packed stores, in addition to those of the storage and the environment.

    Raises:
        InputError: No store, or more than one, has the requested name.
        DataError: A folder contains something else, or the disk is full.
    """
    if isinstance(config, ProceduralData):
        # Two studies on one storage may request the same hands at once.
        lock = storage / "locks" / f"{_name(config)}.lock"
        waits = _phase(on_progress, "waiting for another process that creates them")
        with one_at_a_time(lock, (lambda: waits(0, 1)) if waits else None):
            return _procedural(config, storage, on_progress, workers)
    if isinstance(config, UnionData):
        return _union(config, storage, on_progress, workers, more)
    if isinstance(config, CrossData):
        return _cross(config, storage, on_progress, workers, more)
    labelled = find_store(config.name, config.fingerprint, storage, more)
    if config.pretrain is None:
        return labelled
    pretrain = find_store(config.pretrain.name, config.pretrain.fingerprint, storage, more)
    name = f"{labelled.name}+{pretrain.name}"
    with one_at_a_time(storage / "locks" / f"{name}.lock"):
        return combine(storage / "combined" / name, labelled=labelled, pretrain=pretrain)


def prepared(config: DataConfig, storage: Path) -> Path | None:
    """Return the data folder of a study if it exists, else None; no data is created.

    Args:
        config: Description of the data.
        storage: Root of all results.

    Raises:
        InputError: No packed store, or more than one, has the requested name.
    """
    if isinstance(config, UnionData | CrossData):
        found = [prepared(one, storage) for one in parts_of(config)]
        return None if None in found else prepare(config, storage)
    if not isinstance(config, ProceduralData):
        return prepare(config, storage)  # creates a few links at most
    folder = procedural_store(config, storage)
    return folder if (folder / MANIFEST_FILE).is_file() else None


def _union(
    config: UnionData,
    storage: Path,
    on_progress: Progress | None,
    workers: int,
    more: Sequence[Path],
) -> Path:
    labelled, *others = (
        prepare(one, storage, on_progress, workers=workers, more=more) for one in parts_of(config)
    )
    sources, like = others[: len(config.pretrain)], others[-1] if config.like else labelled
    images = pretraining_images(like)
    place = (labelled.name, *(one.name for one in sources), *config.shares, images)
    name = f"union-{digest(place)[:16]}"
    with one_at_a_time(storage / "locks" / f"{name}.lock"):
        return combine_union(
            storage / "combined" / name,
            labelled=labelled,
            pretrain=sources,
            shares=config.shares,
            epoch_images=images,
        )


def _cross(
    config: CrossData,
    storage: Path,
    on_progress: Progress | None,
    workers: int,
    more: Sequence[Path],
) -> Path:
    fitted, evaluated = (
        prepare(one, storage, on_progress, workers=workers, more=more) for one in parts_of(config)
    )
    name = f"{fitted.name}-to-{evaluated.name}"
    with one_at_a_time(storage / "locks" / f"{name}.lock"):
        return combine_cross(storage / "combined" / name, labelled=fitted, evaluated=evaluated)


def _procedural(
    config: ProceduralData, storage: Path, on_progress: Progress | None, workers: int
) -> Path:
    spec = config.procedural()
    root = storage / "datasets" / _name(config)
    write_freihand(root, spec, workers=workers, on_progress=_phase(on_progress, "rendering"))
    reader = FreihandReader(root)
    reader.name = config.name  # the layout is FreiHAND's, the hands are not
    store = pack(
        reader,
        procedural_store(config, storage),
        crop_px=config.crop_px,
        context=config.context,
        crop=config.crop,
        workers=workers,
        check_sources=False,  # the description alone determines the hands
        on_progress=_phase(on_progress, "packing"),
    )
    return store.folder


def procedural_store(config: ProceduralData, storage: Path) -> Path:
    """Return the folder of the store that `prepare` creates for procedural hands."""
    return storage / "stores" / f"{_name(config)}-{config.crop_px}-{config.crop}"


def _name(config: ProceduralData) -> str:
    return f"{config.name}-{config.procedural().fingerprint[:12]}"


def _phase(on_progress: Progress | None, phase: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else lambda done, total: on_progress(phase, done, total)
