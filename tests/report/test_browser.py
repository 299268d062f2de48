"""The page of a study in a real browser: on a phone, on a laptop and in print."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from handssl.report.page import page
from tests.browser import FLAGS, PROBE, axe, browse, probe
from tests.report.made_up import report_of
from tests.report.test_diagnostics_part import study
from tests.report.test_effects_of_rows import PLANNED, grid
from tests.report.test_published import record

pytestmark = pytest.mark.faults
# A4 between margins of 14 mm, in pixels of 1/96 inch.
PAPER_PX, PAPER_HIGH_PX = 687, 1016
MEASURE = """() => {
  const wide = document.documentElement.clientWidth + 1;
  const shown = [...document.querySelectorAll("table, svg, img, figcaption, p")];
  const boxes = shown.map((one) => one.getBoundingClientRect());
  return {
    cut: shown.filter((one, n) => boxes[n].right > wide && !one.closest("svg")).length,
    highest: Math.max(...[...document.querySelectorAll("figure")].map((one) => one.offsetHeight)),
    closed: [...document.querySelectorAll("details > :not(summary)")].filter(
      (one) => !one.checkVisibility() || !one.offsetHeight).length,
    folds: document.querySelectorAll("details").length,
  };
}"""


@pytest.fixture
def path(tmp_path):
    """A page with compositions, effects, diagnostics, published numbers and folded tables."""
    diagnosed, published = study(), (record(block=1), record(block=3))
    cells = [replace(one, epoch=6, epochs=6) for one in grid(1, 2)]
    records = (*diagnosed.records, *published)
    found = report_of([*cells, *diagnosed.rows], planned=PLANNED, records=records)
    path = tmp_path / "page.html"
    path.write_text(page(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_of_many_cells_is_accessible_and_not_wider_than_the_window(
    chromium, path, tmp_path, width
):
    text = path.read_text(encoding="utf-8")
    for part in ("Features: what was asked for", "Published numbers", "<details>", "730.1"):
        assert part in text
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    path.write_text(f"{text}<script>{axe()}</script><script>{PROBE}</script>", encoding="utf-8")
    found = probe(browse(chromium, tmp_path, path.as_uri(), width=width))
    assert found["violations"] == []
    assert found["checked"] > 10
    assert found["wide"] <= 0


def test_in_print_nothing_is_cut_figures_fit_a_page_and_folds_are_open(chromium, path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        shown = browser.new_page(viewport={"width": PAPER_PX, "height": PAPER_HIGH_PX})
        shown.goto(path.as_uri())
        folded = shown.evaluate(MEASURE)
        shown.emulate_media(media="print")
        found = shown.evaluate(MEASURE)
        browser.close()
    assert folded["closed"] > 0
    assert found["folds"] > 2
    assert found["closed"] == 0
    assert found["cut"] == 0
    assert found["highest"] <= PAPER_HIGH_PX
