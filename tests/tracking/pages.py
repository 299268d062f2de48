"""MLflow's pages in a Chromium with a new profile, which has chosen nothing before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOAD_MS = 90_000
WINDOW = {"width": 1800, "height": 1000}
# A row of a table, or a chart: the page has loaded its data.
FILLED = "[row-index] a[href*='/runs/'], .js-plotly-plot"


@contextmanager
def browser(chromium: str) -> Iterator[Any]:
    """Yield a function that opens an address in a profile of its own and returns the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        program = play.chromium.launch(executable_path=chromium)

        def opened(address: str, awaited: str = FILLED) -> Any:
            page = program.new_context(viewport=WINDOW).new_page()
            page.set_default_timeout(LOAD_MS)
            page.goto(address)
            page.locator(awaited).first.wait_for(state="attached")
            return page

        yield opened
        program.close()


def rows(page: Any) -> list[str]:
    """Return the names of the runs in the table, in their order."""
    links = page.locator("[row-index] a[href*='/runs/']")
    found = links.evaluate_all(
        "all => all.map(a => [+a.closest('[row-index]').getAttribute('row-index'), a.innerText])"
    )
    return [name.strip() for _, name in sorted(found)]


def columns(page: Any) -> list[str]:
    """Return the headers of the table that are on the screen."""
    return [text.strip() for text in page.locator("[role=columnheader]").all_inner_texts()]


def picture(page: Any, path: Path) -> None:
    """Write a picture of 128 colours, without the assistant that MLflow opens in a new profile."""
    from PIL import Image

    close = page.get_by_role("button", name="Close")
    if close.count():
        close.first.click()
    page.screenshot(path=str(path))
    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)
