"""Sheet of a study's transformations over its ranges, on its own images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from handssl.errors import DataError, InputError
from handssl.report.figures.svg import element
from handssl.report.section_parts import captioned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handssl.report.study_report import StudyReport
    from handssl.transforms import AugmentConfig
    from handssl.transforms.preview import Hands

_CELL_PX, _QUALITY, _SEED = 112, 72, 0


class _Shown(NamedTuple):
    hands: Hands
    source: str


def transformations_part(found: StudyReport) -> str:
    """Return a figure for each transformation of the study, from low to high values.

    Args:
        found: Report of the study. Without ranges that this version reads the part is empty.
    """
    names, config = _names(found), _ranges(found)
    if not names or config is None:
        return ""
    shown = _hands(found)
    figures = [_figure(name, n, config, shown) for n, name in enumerate(names)]
    return "\n".join(["<h2>Transformations of the study</h2>", *figures])


def _names(found: StudyReport) -> list[str]:
    """Return the transformations of planned trials; custom ones have no known parameters."""
    from handssl.transforms.names import TRANSFORMATIONS

    used = {row.composition for row in found.rows if row.kind == "trial" and row.planned}
    together = {name for one in used for name in one.split("+")}
    return [name for name in TRANSFORMATIONS if name in together]


def _ranges(found: StudyReport) -> AugmentConfig | None:
    """Return the ranges of the study's plan, or of a single pretraining; None if not readable."""
    from handssl.study.study import Study
    from handssl.training.config import PretrainConfig

    try:
        if found.plan and "study" in found.plan:
            return Study.parse(found.plan["study"]).pretrain.augmentation
        trained = [one.config for one in found.records if one.epochs]
        return PretrainConfig.parse(trained[0]).augmentation if trained else None
    except InputError:
        return None


def _hands(found: StudyReport) -> _Shown:
    from handssl.data.store import PackedStore
    from handssl.execution.trial_files import labelled_store
    from handssl.transforms.preview import procedural_hands, stored_hands

    try:
        for record in found.records:
            if folder := labelled_store(record, found.storage):
                hands = stored_hands(PackedStore(folder), "pretrain", _SEED)
                return _Shown(hands, "an image of the study")
    except (InputError, DataError):
        pass
    return _Shown(procedural_hands(_SEED), "a rendered hand (the study's data are not here)")


def _figure(name: str, number: int, config: AugmentConfig, shown: _Shown) -> str:
    from handssl.report.figures.pictures import jpeg_url
    from handssl.transforms.preview_labels import parameter_names, parameter_words

    words = [parameter_words(one) for one in parameter_names(name, config)]
    apart = ", one at a time" if len(words) > 1 else ""
    steps = f"{', '.join(words)} from low to high{apart}" if words else "off, then on"
    caption = f"{name} on {shown.source}: {steps}, in the ranges of the study."
    sheet = _sheet(name, number, config, shown.hands)
    picture = element(
        "img",
        src=jpeg_url(sheet, _QUALITY),
        alt=f"Views with {name}: {steps}",
        width=sheet.shape[1],
        height=sheet.shape[0],
        class_="sheet",
    )
    return captioned(caption, picture, wide=True)


def _sheet(name: str, number: int, config: AugmentConfig, hands: Hands) -> NDArray[np.uint8]:
    """Draw the strips of one transformation, each transformation on another hand."""
    import numpy as np

    from handssl.objectives import relative_target
    from handssl.transforms.preview import Hands, transformation_sheet

    order = np.roll(np.arange(len(hands.crops)), -number)
    uv = None if hands.uv is None else hands.uv[order]
    turned = Hands(hands.crops[order], uv, hands.valid[order], hands.context)
    return transformation_sheet(
        turned,
        relative_target,
        config=config,
        names=(name,),
        with_pairs=False,
        cell_px=_CELL_PX,
        seed=_SEED,
    )
