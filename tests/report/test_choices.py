from __future__ import annotations

from handssl.report.conclusions import choices
from handssl.study.cell import Cell
from handssl.study.stages import ObjectivesStage, Selection
from tests.report.made_up import page_of

REASONS = (
    "rotate: undecided (relative -11.6 mm, one seed)",
    "blur: contrastive, without ...",
)


def test_choices_of_objectives_are_the_sentences_of_the_stage():
    one = Selection(stage="objectives", objective_of={"blur": "contrastive"}, reasons=REASONS)
    assert choices(one) == REASONS


def test_a_best_cell_and_settings_are_shown_with_the_name_of_their_stage():
    best = Selection(stage="compositions", best=Cell(), reasons=("contrastive none: 65.0 mm",))
    assert choices(best) == ("compositions, best: contrastive none: 65.0 mm",)
    settings = Selection(stage="search", settings={"relative": {"epochs": 3}}, reasons=("x",))
    assert choices(settings) == ("search, settings: x",)


def test_a_stage_that_could_not_choose_says_so():
    nothing = Selection(stage="compositions", reasons=("no cell completed",))
    assert choices(nothing) == ("compositions, nothing chosen: no cell completed",)
    assert choices(ObjectivesStage(transformations=("blur",)).select([])) == (
        "blur: contrastive, without parameters to predict",
    )


def test_the_page_lists_the_choices(rows):
    assert "Choices of the stages" not in page_of(rows)
    chosen = Selection(stage="x", objective_of={"rotate": "relative"}, reasons=("rotate: <b>",))
    shown = page_of(rows, selections=(chosen,))
    assert "Choices of the stages" in shown
    assert "<li>rotate: &lt;b&gt;</li>" in shown
