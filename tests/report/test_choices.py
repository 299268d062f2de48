from __future__ import annotations

from handssl.report.conclusions import choices
from handssl.report.html import page
from handssl.study.stages import ObjectivesStage, Selection


def test_every_choice_is_a_sentence_that_names_its_stage():
    reasons = ("rotate: relative; ...", "blur: contrastive, without parameters to predict")
    one = Selection(stage="objectives", objective_of={"blur": "contrastive"}, reasons=reasons)
    assert choices(one) == (
        "objectives chose rotate: relative; ...",
        "objectives chose blur: contrastive, without parameters to predict",
    )


def test_a_stage_that_could_not_choose_says_so():
    nothing = Selection(stage="compositions", reasons=("no cell completed",))
    assert choices(nothing) == ("compositions chose nothing: no cell completed",)
    assert choices(ObjectivesStage(transformations=("blur",)).select([])) == (
        "objectives chose blur: contrastive, without parameters to predict",
    )


def test_the_page_lists_the_choices(rows):
    assert "What the stages chose" not in page(rows, title="x", facts={})
    shown = page(rows, title="x", facts={}, choices=("objectives chose <b>",))
    assert "What the stages chose" in shown
    assert "<li>objectives chose &lt;b&gt;</li>" in shown
