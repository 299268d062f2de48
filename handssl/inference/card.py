"""Model card: what a model was trained on, how wrong it is, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterator

from handssl.config import Config

LICENCES = {
    "procedural": "procedural hands of handssl (Apache-2.0; the mesh is derived from "
    "@webxr-input-profiles/assets, MIT)",
    "freihand": "FreiHAND: research only, no commercial use",
    "interhand": "InterHand2.6M: CC BY-NC 4.0",
}
"""Licence of each dataset that handssl reads, by name."""

LIMITS = (
    "One hand at a time, 21 joints, in an image cropped to the hand; nothing detects the hand.",
    "Left hands are mirrored to right ones; the side has to be given.",
    "One image has no absolute size: lengths in mm are those of the stated hand size.",
    "Not for decisions about people: identity, health, intent.",
)


class CardError(Config):
    """Error of a model on images that it was not fitted on.

    Attributes:
        what: Meaning of the number: statistic and protocol.
        mm: The error in mm.
        low: Lower end of the interval in mm; None if it is not known.
        high: Upper end in mm.
        interval: What the interval is for.
        hands: Number of hands.
    """

    what: str
    mm: float
    low: float | None = None
    high: float | None = None
    interval: str = ""
    hands: int = 0

    def __str__(self) -> str:
        inside = f" [{self.low:.1f}, {self.high:.1f}]" if self.low and self.high else ""
        return f"{self.mm:.1f} mm{inside}"


class ModelCard(Config):
    """Facts about a model, kept with its weights.

    Attributes:
        name: Name of the model: trial id, or a word.
        study: Study of its trial.
        objective: Objective of its pretraining.
        composition: Transformations, e.g. rotate+translate.
        seed: Seed.
        epochs: Number of epochs.
        pretrained_on: Name and fingerprint of the pretraining images.
        labels: Name and fingerprint of the labels that its read-out was fitted on.
        errors: Errors, the primary one first.
        notes: What else a user has to know.
        made_with: Version of handssl.
    """

    name: str
    study: str = ""
    objective: str = ""
    composition: str = ""
    seed: int | None = None
    epochs: int | None = None
    pretrained_on: str = ""
    labels: str = ""
    errors: tuple[CardError, ...] = ()
    notes: tuple[str, ...] = ()
    made_with: str = ""

    def licences(self) -> tuple[str, ...]:
        """Return the licence of each dataset of the model.

        Example:
            >>> ModelCard(name="x", pretrained_on="interhand ab", labels="mine cd").licences()
            ('InterHand2.6M: CC BY-NC 4.0', 'mine: not known to handssl; ask those who made it')
        """
        names = dict.fromkeys(text.split(" ")[0] for text in (self.pretrained_on, self.labels))
        unknown = "not known to handssl; ask those who made it"
        return tuple(LICENCES.get(name, f"{name}: {unknown}") for name in names if name)


def markdown(card: ModelCard, network: str, files: tuple[str, ...] = ()) -> str:
    """Return a card as Markdown.

    Args:
        card: The facts.
        network: One line about architecture, input and digest.
        files: How each exported file is read, one line each.
    """
    return "\n".join(_lines(card, network, files)) + "\n"


def _lines(card: ModelCard, network: str, files: tuple[str, ...]) -> Iterator[str]:
    yield from (f"# Hand-pose model {card.name}", "", "| | |", "|---|---|")
    facts = {
        "network": network,
        "objective": card.objective,
        "composition": card.composition,
        "study, seed, epochs": ", ".join(
            str(one) for one in (card.study, card.seed, card.epochs) if one not in ("", None)
        ),
        "pretrained on": card.pretrained_on,
        "read-out fitted on": card.labels,
        "licence of the data": "; ".join(card.licences()),
        "made with": card.made_with,
    }
    yield from (f"| {name} | {value} |" for name, value in facts.items() if value)
    yield from ("", "## Errors", "", *_errors(card), "", "## Limits", "")
    yield from (f"- {one}" for one in (*card.notes, *LIMITS))
    if files:
        yield from ("", "## Files", "", *(f"- {one}" for one in files))


def _errors(card: ModelCard) -> Iterator[str]:
    if not card.errors:
        yield "Not measured."
        return
    yield from ("| measure | error | interval | hands |", "|---|---|---|---|")
    for one in card.errors:
        known = one.low is not None and one.high is not None
        ends = f"{one.low:.1f} to {one.high:.1f} mm ({one.interval})" if known else "not known"
        yield f"| {one.what} | {one.mm:.1f} mm | {ends} | {one.hands or ''} |"
