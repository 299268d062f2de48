"""Stages, datasets and lengths: ranked apart, and what headline, order and effects speak of."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from handssl.report.effects import study_effects
from handssl.report.headline import headline
from handssl.report.order import order_check
from handssl.report.rows import Row
from handssl.report.sections import sections
from handssl.report.table import markdown_table, terminal_table
from handssl.stats.skeleton import subsets
from tests.report.made_up import page_of

NAMES = ("blur", "rotate", "translate")
PLANNED = {"blocks": "1,2,3"}
EFFECTS = {"rotate": -8.0, "translate": -5.0, "blur": 1.0}
RELATIVE = ("rotate", "translate")


def trial(composition, block, median_mm, *, kind="compositions", epochs=6, settings="", data=""):
    relative = "+".join(name for name in composition if name in RELATIVE)
    name = "+".join(composition) or "none"
    label = f"mixed {name}" + (f" ({relative})" if relative else "")
    label += (f" {settings}" if settings else "") + (f" on {data}" if data else "")
    return Row(
        label,
        name,
        "mixed",
        block,
        "completed",
        epochs,
        epochs,
        median_mm,
        curve=tuple((e, median_mm + epochs - e) for e in range(1, epochs + 1)),
        stage=kind,
        stage_kind=kind,
        data=data,
        relative_on=relative,
    )


def reference(name, block, median_mm):
    epochs, objective = (6, "supervised") if name == "supervised" else (0, "reference")
    where = {"stage": "objectives", "stage_kind": "objectives", "kind": "reference"}
    return Row(name, "none", objective, block, "completed", epochs, epochs, median_mm, **where)


def value(composition, block):
    return 90 + sum(EFFECTS[name] for name in composition) + 0.1 * block


def grid(*blocks, epochs=6):
    every = [(c, block) for block in blocks for c in subsets(NAMES)]
    return [trial(c, block, value(c, block), epochs=epochs) for c, block in every]


def references(*blocks):
    values = {"mean pose": 99.0, "random encoder": 97.0, "supervised": 60.0}
    return [reference(name, block, mm) for block in blocks for name, mm in values.items()]


def elsewhere(*blocks):
    """The best cell on other data, where it gives less."""
    best, after = ("rotate", "translate"), "freihand after interhand"
    return [trial(best, block, 50.0, kind="cross_dataset", data=after) for block in blocks]


def search(median_mm=40.0):
    """Points of a search, in a seed of its own."""
    return [
        trial(RELATIVE, 1001, median_mm + lr, kind="hyperparameters", settings=f"lr_base={lr}")
        for lr in (1, 2)
    ]


STUDY = [*references(1, 2, 3), *grid(1, 2, 3)]
MORE = {
    "other data": elsewhere(1, 2, 3),
    "a search": search(),
    "shorter trials": [replace(row, median_mm=20.0) for row in grid(1, 2, epochs=3)],
    "an earlier plan": [replace(row, median_mm=20.0, planned=False) for row in grid(1, 2, 3)],
}


@pytest.mark.parametrize("more", MORE)
def test_headline_order_and_effects_are_those_of_the_compositions_alone(more):
    rows = [*MORE[more], *STUDY]
    assert headline(rows) == headline(STUDY)
    assert str(order_check(rows)) == str(order_check(STUDY))
    assert study_effects(rows, PLANNED) == study_effects(STUDY, PLANNED)
    found = study_effects(rows, PLANNED)
    assert {n: one.mm for n, one in found.effects.items()} == pytest.approx(EFFECTS)
    assert found.method == "all compositions in 3 blocks"


@pytest.mark.parametrize("more", MORE)
def test_what_cannot_be_ranked_with_the_rest_has_a_section_of_its_own(more):
    rows = [*STUDY, *MORE[more]]
    first, second = sections(rows)
    assert [first.main, second.main] == [True, False]
    assert {row for row in second.rows if row.kind == "trial"} == {*MORE[more]}
    assert {row for row in first.rows if row.kind == "trial"} == {*grid(1, 2, 3)}


def test_one_section_alone_has_no_title():
    assert [section.title for section in sections(STUDY)] == [""]


def test_titles_name_stage_data_length_search_and_earlier_plan():
    rows = [*STUDY, *(row for more in MORE.values() for row in more)]
    assert [section.title for section in sections(rows)] == [
        "Stage compositions, 6 epochs",
        "Stage compositions, 3 epochs",
        "Stage cross_dataset on freihand after interhand, 6 epochs",
        "Stage hyperparameters, 6 epochs, points of the search",
        "Stage compositions, 6 epochs, under an earlier plan",
    ]


def test_references_stand_in_every_section_of_the_studys_own_data_they_can_be_compared_in():
    rows = [*STUDY, *(row for more in MORE.values() for row in more)]
    found = [
        {row.label for row in section.rows if row.kind == "reference"} for section in sections(rows)
    ]
    everything = {"mean pose", "random encoder", "supervised"}
    assert found == [everything, everything - {"supervised"}, set(), set(), everything]


def test_a_reference_that_was_computed_once_stands_in_every_block():
    once = reference("HOG ridge", 1, 61.0)
    rows = [*references(1, 2, 3), once, *grid(1, 2, 3)]
    (section,) = sections(rows)
    hog = next(cell for cell in section.ranking.finished if cell.name == "HOG ridge")
    assert [(row.block, row.median_mm) for row in hog.rows] == [(1, 61.0), (2, 61.0), (3, 61.0)]


def test_a_reference_first_computed_for_other_seeds_stands_in_those_of_the_study():
    (section,) = sections([reference("HOG ridge", 9, 61.0), *grid(1, 2)])
    assert section.ranking.blocks == (1, 2)
    assert section.ranking.finished[0].name == "HOG ridge"


def test_a_random_encoder_that_lacks_a_block_is_not_invented_there():
    rows = [row for row in references(1, 2) if (row.label, row.block) != ("random encoder", 2)]
    (section,) = sections([*rows, *grid(1, 2)])
    assert "random encoder" in {cell.name for cell in section.ranking.early}


def test_a_trial_that_two_stages_share_counts_in_both():
    alone = [trial((name,), 1, value((name,), 1), kind="objectives") for name in NAMES]
    objectives, compositions = sections([*alone, *grid(1)])
    assert [row.composition for row in objectives.rows] == [*NAMES]
    assert len(compositions.rows) == 8
    assert study_effects([*alone, *grid(1)], PLANNED).method == "all compositions in 1 block"


def test_the_headline_is_of_the_last_stage_that_has_one_and_of_the_objectives():
    rivals = [
        Row(f"{objective} rotate", "rotate", objective, 1, "completed", 6, 6, mm, **where)
        for where in [{"stage": "objectives", "stage_kind": "objectives"}]
        for objective, mm in (("contrastive", 84.0), ("relative", 82.0))
    ]
    assert headline(rivals).startswith(
        "Lowest self-supervised error: relative rotate, median 82.0 mm"
    )
    said = headline([*rivals, *grid(1)])
    assert said.startswith(
        "Lowest self-supervised error: mixed rotate+translate (rotate+translate), "
    )
    assert said.endswith("Lower error: relative for rotate. All of this is undecided: one seed.")


def test_the_better_objective_is_reported_blocks_that_have_both_and_a_diverged_one_loses():
    values = {"contrastive": (60.0, 70.0, 90.0), "relative": (61.0, 71.0, 50.0)}
    rows = [
        Row(f"{name} rotate", "rotate", name, block, "completed", 6, 6, mm)
        for name, three in values.items()
        for block, mm in enumerate(three, 1)
    ]
    said = headline(rows)
    assert (
        "rotate: undecided (relative -12.7 mm, -71.5 to +46.1, Holm p .45, 3 seeds; about" in said
    )
    lacking = [r for r in rows if (r.objective, r.block) != ("contrastive", 3)]
    assert "rotate: contrastive (relative +1.0 mm, " in headline(lacking)
    diverged = [replace(r, outcome="diverged") if r.block == 3 else r for r in rows[3:]]
    said = headline([*rows[:3], *diverged])
    assert "rotate: undecided (diverged in 1 of 3 seeds)." in said


def test_several_sections_stand_under_their_titles_everywhere_and_search_points_show_settings():
    rows = [*STUDY, *elsewhere(1), *search()]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(terminal_table(rows))
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    # Below the table of the page the cell stands again, with its trials and weights.
    row = {"page": 'lr_base=1</td><td class="mixed">'}
    texts = {"terminal": shown, "markdown": markdown_table(rows), "page": page_of(rows)}
    for name, text in texts.items():
        places = [text.index(section.title) for section in sections(rows)]
        assert places == sorted(places)
        assert text.count(row.get(name, "lr_base=1")) == 1
        assert text.index("lr_base=1") > places[-1]


def test_long_names_of_cells_may_be_broken_on_the_page():
    assert '<td class="cell">blur+<wbr>rotate (relative: rotate)</td>' in page_of(grid(1))


def test_references_alone_are_one_section():
    (section,) = sections(references(1))
    assert len(section.rows) == 3
    assert headline(section.rows) == "No trial has finished yet."


def test_a_reference_of_another_direction_that_is_measured_once_stands_in_every_block():
    where = {"stage": "cross_dataset", "stage_kind": "cross_dataset", "data": "one to other"}
    rows = [
        replace(trial(("rotate",), block, 70.0 + block), epochs=0, **where) for block in (1, 2, 3)
    ]
    rows.append(replace(reference("mean pose", 1, 90.0), label="mean pose, one to other", **where))
    (section,) = sections(rows)
    mean_pose = [row for row in section.rows if row.label == "mean pose, one to other"]
    assert [(row.block, row.median_mm) for row in mean_pose] == [(1, 90.0), (2, 90.0), (3, 90.0)]
