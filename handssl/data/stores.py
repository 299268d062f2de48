"""Find packed stores below the storage and in the folders of $HANDSSL_STORES."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from handssl.config import nearest
from handssl.data.manifest import FILE, PARTIAL, READERS, REPLACED, Cropping, Manifest, recipes_of
from handssl.data.sample import Reader
from handssl.data.store import PackedStore
from handssl.errors import DataError, InputError
from handssl.runtime.shell_commands import command, default_storage

VARIABLE = "HANDSSL_STORES"


def packing_place(reader: Reader, storage: Path, cropping: Cropping) -> Path:
    """Return the default folder for the store of a dataset.

    Args:
        reader: The dataset.
        storage: Root of all results.
        cropping: Settings of the crops.
    """
    recipes = recipes_of(reader, cropping)
    stem = storage / "stores" / f"{reader.name}-{cropping.crop_px}"
    places = [stem.with_name(f"{stem.name}-{recipe[:8]}") for recipe in recipes]
    return next((place for place in places if place.exists()), places[0])


def find_store(
    name: str, fingerprint: str | None, storage: Path, more: Sequence[Path] = ()
) -> Path:
    """Return the one store of a dataset.

    Args:
        name: Name of the dataset.
        fingerprint: Prefix of the store's fingerprint, or None if there is only one store.
        storage: Root of all results; stores are in `stores/`.
        more: Other folders of stores.

    Returns:
        The folder of the store.

    Raises:
        InputError: There is none, or more than one; the message lists the known stores.
    """
    stores = dict(known_stores(storage, more))
    fitting = {
        folder: manifest
        for folder, manifest in stores.items()
        if manifest.dataset == name and manifest.fingerprint.startswith(fingerprint or "")
    }
    if len({manifest.fingerprint for manifest in fitting.values()}) == 1:
        return next(iter(fitting))
    asked = f"{name} {fingerprint}" if fingerprint else name
    listed = _listed(fitting or stores)
    if fitting:
        raise InputError(f"data: {len(fitting)} stores are {asked}; add the fingerprint:{listed}")
    raise InputError(
        f"data: expected a packed store of {asked} below {storage / 'stores'} or ${VARIABLE}, "
        f"found {'others:' + listed if listed else 'none'}\n{_advice(name, fingerprint, storage)}"
    )


def search_command(folder: Path) -> str:
    """Return the command of a shell after which studies find a store in any folder.

    Example:
        >>> search_command(Path("/data/stores/freihand-192")).endswith("/data/stores")
        True
    """
    places = [*filter(None, [os.environ.get(VARIABLE)]), str(folder.resolve().parent)]
    return f"export {VARIABLE}={shlex.quote(os.pathsep.join(places))}"


def _advice(name: str, fingerprint: str | None, storage: Path) -> str:
    for folder, manifest in known_stores(default_storage()):
        if manifest.dataset == name and manifest.fingerprint.startswith(fingerprint or ""):
            return f"The default storage has one; use it with: {search_command(folder)}"
    if name in READERS:
        pack = command("data", "pack", name, "--root", "ROOT", storage=storage)
        return f"Create it with: {pack}"
    return (
        f"handssl reads some datasets itself{nearest(name, READERS)}\n"
        "A custom dataset is packed in Python: handssl.add_dataset(reader)"
    )


def known_stores(storage: Path, more: Sequence[Path] = ()) -> Iterator[tuple[Path, Manifest]]:
    """Yield the folder and manifest of every known store; damaged ones are skipped."""
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    places = [*more, storage / "stores", *(Path(place).expanduser() for place in named if place)]
    for place in places:
        for path in [place / FILE, *sorted(place.glob(f"*/{FILE}"))]:
            if path.parent.suffix in (PARTIAL, REPLACED):
                continue
            try:
                yield path.parent, Manifest.read(path.parent)
            except DataError:
                continue


def named_store(name: Path, storage: Path) -> PackedStore:
    """Open a store by a name given by the user.

    Args:
        name: Folder of the store, name of its dataset, or prefix of its fingerprint.
        storage: Root of all results.

    Raises:
        InputError: No store, or more than one, matches the name.
        DataError: The folder is not a complete store.
    """
    if name.is_dir():
        return PackedStore(name)
    stores = dict(known_stores(storage))
    word = str(name)
    fitting = [
        folder
        for folder, manifest in stores.items()
        if manifest.dataset == word or manifest.fingerprint.startswith(word)
    ]
    if len(fitting) == 1:
        return PackedStore(fitting[0])
    shown = fitting or stores
    listed = _listed({folder: stores[folder] for folder in shown})
    raise InputError(
        f"{word}: expected the folder of a packed store, the name of its dataset or the start of "
        f"its fingerprint, found {len(fitting)} that fit; known stores:{listed or ' none'}"
    )


def _listed(stores: dict[Path, Manifest]) -> str:
    return "".join(
        f"\n  {manifest.dataset} {manifest.fingerprint[:12]}  {folder}"
        for folder, manifest in stores.items()
    )
