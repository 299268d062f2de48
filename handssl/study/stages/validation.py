"""Validation of a study's stages before the first of them is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from handssl.errors import InputError
from handssl.study.cell import Cell
from handssl.study.stages.base import Mistake, Selection, StageBase, with_arm
from handssl.training.config import PretrainConfig

Resolve = Callable[[Cell], PretrainConfig]


def mistakes_of(stages: Sequence[StageBase], config: Resolve) -> list[Mistake]:
    """Return every mistake of the stages and of their cells, in order.

    Cells that depend on a selection are checked with a placeholder for it.

    Args:
        stages: Stages of a study.
        config: Returns a cell's resolved configuration, or raises InputError.

    Returns:
        (location, starting with the stage's number; what was expected).
    """
    found: list[Mistake] = []
    earlier: dict[str, StageBase] = {}
    before: dict[str, Selection] = {}
    for number, stage in enumerate(stages):
        cells: tuple[Cell, ...] = ()
        found_here = stage.mistakes(earlier)
        if not found_here:
            cells, found_here = _resolved(stage, before)
            found_here += _of_cells(stage, cells, config)
        if stage.name in earlier:
            found_here.append((("name",), f"two stages are called {stage.name!r}"))
        # Mistakes of one stage must not hide those of later ones.
        before[stage.name] = placeholder_selection(stage, cells or (Cell(),), stages)
        earlier[stage.name] = stage
        found += [((number, *where), message) for where, message in dict.fromkeys(found_here)]
    return found


def _resolved(
    stage: StageBase, before: dict[str, Selection]
) -> tuple[tuple[Cell, ...], list[Mistake]]:
    try:
        return stage.resolved(before), []
    except InputError as error:
        return (), [((), line) for line in _lines(error)]


def _of_cells(stage: StageBase, cells: Sequence[Cell], config: Resolve) -> list[Mistake]:
    labels = Counter(cell.label for cell in cells)
    found: list[Mistake] = [((), f"listed twice: {one}") for one, n in labels.items() if n > 1]
    configs = []
    for number, cell in enumerate(cells):
        try:
            configs.append(config(cell))
        except InputError as error:
            found += [(stage.origin(number), line) for line in _lines(error)]
    return found or stage.mistakes_of_trials(configs)


def _lines(error: InputError) -> list[str]:
    """Return the mistakes that an error lists, without its heading."""
    first, *rest = str(error).splitlines()
    return [_short(line.strip()) for line in rest or [first]]


def _short(line: str) -> str:
    """Remove the whole configuration from a message of a rule over several fields."""
    whole = line.removeprefix("(top level): ")
    return line if whole == line else whole.partition(" (got {")[0]


def placeholder_selection(
    stage: StageBase, cells: Sequence[Cell], stages: Iterable[StageBase]
) -> Selection:
    """Return a placeholder selection that leads to the maximum number of cells in later stages.

    Transformations with parameters are on the relative objective, the largest composition is the
    best cell, every cell is its runner-up, and all of those are undecided.

    Args:
        stage: The stage without selection.
        cells: Cells of the stage.
        stages: All stages of the study.
    """
    names = dict.fromkeys(name for cell in cells for name in cell.composition)
    # A composition that a supervised stage lists anyway would not add a cell to it.
    listed = {c for later in stages for c in getattr(later, "compositions", ())}
    free = [cell for cell in cells if cell.composition not in listed] or list(cells)
    best = max(free, key=lambda cell: len(cell.composition), default=None)
    relative = [name for name in (best.composition if best else ()) if name in stage.regressable]
    return Selection(
        stage=stage.name,
        objective_of={n: "relative" if n in stage.regressable else "contrastive" for n in names},
        best=best,
        contenders=(best, *(cell for cell in cells if cell != best)) if best else (),
        swaps={name: with_arm(best, name, "contrastive") for name in relative} if best else {},
        reasons=("placeholder for a selection that has not been made yet",),
    )
