"""The named designs: design, world and first rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handssl.bench.designs.worlds import EPOCHS
from handssl.errors import InputError
from handssl.planning.promise import Design
from handssl.scheduling.halving import Rules


@dataclass(frozen=True)
class NamedDesign:
    """A design in a world.

    Attributes:
        name: Its name.
        design: Cells and blocks.
        k: Number of transformations.
        world: Name of the world.
        grace_epochs: Epoch of the first rung, for halving.
    """

    name: str
    design: Design
    k: int
    world: str
    grace_epochs: int = 0

    @property
    def rules(self) -> Rules | None:
        """Rules of the halving."""
        return Rules(EPOCHS, self.grace_epochs, 3.0) if self.grace_epochs else None

    @property
    def described(self) -> str:
        """The design in words."""
        own = self.design
        kind = {"grid": "grid of", "halving": "halving, skeleton of", "fraction": "fraction of"}
        rung = f", first rung {self.grace_epochs} of {EPOCHS}" if self.grace_epochs else ""
        return f"{kind[own.kind]} {own.cells}{rung}"


def _grid(name: str, k: int, blocks: int, world: str) -> NamedDesign:
    return NamedDesign(name, Design("grid", 2**k, blocks), k, world)


def _halving(name: str, k: int, cells: int, blocks: int, grace: int, world: str) -> NamedDesign:
    return NamedDesign(name, Design("halving", cells, blocks), k, world, grace)


def _fraction(name: str, cells: int, blocks: int, world: str) -> NamedDesign:
    return NamedDesign(name, Design("fraction", cells, blocks), 7, world)


DESIGNS = (
    _grid("empty grid", 7, 3, "null"),
    _grid("recorded grid", 7, 3, "as recorded"),
    _grid("uneven grid", 7, 5, "heteroscedastic"),
    _grid("grid with gaps", 7, 5, "2 % failed"),
    _grid("small grid", 3, 8, "heavy tails"),
    _halving("recorded halving", 7, 16, 3, 3, "as recorded"),
    _halving("early halving", 7, 16, 3, 1, "anti-correlated starts"),
    _halving("entangled halving", 7, 16, 5, 3, "three-factor"),
    _halving("long halving", 7, 32, 8, 1, "2 % failed"),
    _halving("small halving", 3, 4, 5, 3, "as recorded"),
    _fraction("entangled fraction", 32, 5, "three-factor"),
    _fraction("quarter", 32, 3, "as recorded"),
)
"""Every kind, 3, 5 and 8 blocks, 3 and 7 transformations, and every world at least once."""


def chosen(names: Sequence[str]) -> tuple[NamedDesign, ...]:
    """Return designs by name; all without a name.

    Args:
        names: Names of designs.

    Raises:
        InputError: There is no design of a name.
    """
    known = {one.name: one for one in DESIGNS}
    for name in names:
        if name not in known:
            raise InputError(f"--design: expected one of {', '.join(known)}, got {name!r}")
    return tuple(known[name] for name in names) or DESIGNS
