"""The FreiHAND reader: files to samples, official or procedural.

Annotations are one list for each unique id; image id = unique id + unique ids x version, and names
are built from ids, never from a directory listing. A `procedural.json` in the root states image
size, counts and splits; without it the official ones are insisted on.

Reference:
    C. Zimmermann et al., "FreiHAND: a dataset for markerless capture of hand pose and shape from
    single RGB images", ICCV 2019.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.writing import ProceduralManifest
from handssl.data.sample import Sample, Split
from handssl.errors import DataError

SplitRule = Literal["blocks", "published_90_10"]

_UNIQUE, _VERSIONS, _IMAGE_PX = 32_560, 4, 224
_TEST_IDS = 3_256
_BLOCK_IDS = 100


@dataclass(frozen=True)
class Layout:
    """What a root must hold.

    Attributes:
        unique: Annotated ids.
        versions: Images of each.
        image_px: Side of the images.
        ids: Unique ids of each split.
        fingerprint: Of what is known before an image is read.
    """

    unique: int
    versions: int
    image_px: int
    ids: dict[Split, NDArray[np.int64]]
    fingerprint: str


class FreihandDataset:
    """One split of a FreiHAND root.

    With official data `pretrain` shows the images of `probe` without their labels being used; the
    test ids are in neither. `blocks`: the last tenth of the ids is `test`; of the rest every tenth
    block of 100 contiguous ids is `select`. `published_90_10`: `test` is the held-out tenth of the
    published code; recordings then lie on both sides.

    Args:
        root: Folder that holds `training/` and the annotation lists.
        split: Which split.
        rule: How official ids are divided.

    Raises:
        DataError: The root, a list or an image is not what the layout promises.
    """

    name = "freihand"

    def __init__(self, root: Path, split: Split, *, rule: SplitRule = "blocks") -> None:
        self.root, self.split = root, split
        _check_root(root)
        self.layout = _layout(root, rule)
        self.fingerprint = self.layout.fingerprint
        self._camera = self._read("K", (3, 3))
        self._xyz = self._read("xyz", (21, 3))
        self._check_geometry()
        versions = np.arange(self.layout.versions)[:, None] * self.layout.unique
        self.image_ids = (self.layout.ids[split] + versions).ravel()

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Sample:
        image_id = int(self.image_ids[index])
        unique = image_id % self.layout.unique
        path = self.root / "training" / "rgb" / f"{image_id:08d}.jpg"
        homogeneous = self._xyz[unique] @ self._camera[unique].T
        return Sample(
            image=read_image(path, self.layout.image_px),
            id=image_id,
            group=unique,
            source=str(path),
            uv=homogeneous[:, :2] / homogeneous[:, 2:],
            xyz=self._xyz[unique],
            camera=self._camera[unique],
        )

    def _read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        path = self.root / f"training_{name}.json"
        values = _read_json(path)
        count = len(values) if isinstance(values, list) else 0
        if count != self.layout.unique:
            raise DataError(f"{path}: expected {self.layout.unique} entries, found {count}")
        for unique, value in enumerate(values):
            found = np.shape(value) if _is_regular(value) else "lists of unequal lengths"
            if found != shape:
                raise DataError(f"{path}: id {unique}: expected shape {shape}, found {found}")
        return np.array(values, dtype=np.float64)

    def _check_geometry(self) -> None:
        checks = (
            ("K", np.isfinite(self._camera).all(axis=(1, 2)), "a finite camera"),
            ("xyz", np.isfinite(self._xyz).all(axis=(1, 2)), "finite joints"),
            ("xyz", (self._xyz[..., 2] > 0).all(axis=1), "joints before the camera (z > 0)"),
        )
        for name, good, expected in checks:
            if not good.all():
                unique = int(np.flatnonzero(~good)[0])
                found = (self._camera if name == "K" else self._xyz)[unique].round(4).tolist()
                raise DataError(
                    f"{self.root / f'training_{name}.json'}: id {unique}: expected {expected}, "
                    f"found {found}"
                )


def read_image(path: Path, side_px: int) -> NDArray[np.uint8]:
    """Read a square RGB image of a known size.

    Raises:
        DataError: The file is missing, damaged or of another size.
    """
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: expected an image, found none ({error.strerror})") from None
    # OpenCV fills the lower part of a cut JPEG with grey and says nothing; the end mark tells.
    whole = data[:2].tobytes() != b"\xff\xd8" or b"\xff\xd9" in data[-64:].tobytes()
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) and whole else None
    if image is None:
        raise DataError(f"{path}: expected a whole JPEG, found {len(data)} bytes that are not one")
    if image.shape != (side_px, side_px, 3):
        height, width = image.shape[:2]
        raise DataError(f"{path}: expected {side_px} x {side_px} pixels, found {width} x {height}")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _layout(root: Path, rule: SplitRule) -> Layout:
    path = root / "procedural.json"
    if path.is_file():
        manifest = ProceduralManifest.parse(_read_json(path), where=str(path))
        ids = {split: np.arange(*ends) for split, ends in manifest.unique_ids.items()}
        spec = manifest.spec
        return Layout(spec.unique, spec.versions, spec.image_px, ids, manifest.fingerprint)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(rule.encode())
    for name in ("K", "xyz"):
        digest.update((root / f"training_{name}.json").read_bytes())
    return Layout(_UNIQUE, _VERSIONS, _IMAGE_PX, official_split(rule), digest.hexdigest())


def official_split(rule: SplitRule) -> dict[Split, NDArray[np.int64]]:
    """Return the unique ids of every split of the official training set.

    Args:
        rule: `blocks` or `published_90_10`.

    Example:
        >>> {split: len(ids) for split, ids in official_split("blocks").items()}
        {'pretrain': 26404, 'probe': 26404, 'select': 2900, 'test': 3256}
    """
    ids = np.arange(_UNIQUE)
    if rule == "blocks":
        test = ids[-_TEST_IDS:]
    else:
        test = np.sort(np.random.RandomState(5).permutation(_UNIQUE)[:_TEST_IDS])
    rest = np.setdiff1d(ids, test)
    block = np.arange(len(rest)) // _BLOCK_IDS
    select, probe = rest[block % 10 == 9], rest[block % 10 != 9]
    return {"pretrain": probe, "probe": probe, "select": select, "test": test}


def _check_root(root: Path) -> None:
    if (root / "training" / "rgb").is_dir() and (root / "training_K.json").is_file():
        return
    found = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else []
    inside = [p.parent for p in root.glob("*/training_K.json")] if found else []
    hint = f"; did you mean {inside[0]}?" if inside else ""
    raise DataError(
        f"{root}: expected a FreiHAND root with training/rgb and training_K.json, found "
        f"{', '.join(found) if found else 'nothing'}{hint}"
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: expected an annotation list ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found text that is not ({error})") from None


def _is_regular(value: Any) -> bool:
    try:
        np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        return False
    return True
