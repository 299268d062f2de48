"""A page in a real browser: its elements after scripts have run, what axe says, its width."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
# What axe says of a page, and whether it is wider than the window, left in the page itself.
PROBE = """
axe.run(document, {resultTypes: ["violations"]}).then((found) => {
  const note = document.createElement("pre");
  note.id = "probe";
  note.textContent = JSON.stringify({
    violations: found.violations.map((one) => [one.id, one.nodes.map((n) => n.html)]),
    checked: found.passes.length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  });
  document.body.append(note);
});
"""


def axe() -> str:
    """Return the script of axe."""
    found = importlib.util.find_spec("axe_playwright_python")
    return (Path(found.origin).parent / "axe.min.js").read_text()


def browse(
    chromium: str, folder: Path, url: str, *, width: int = 1200, picture: Path | None = None
) -> str:
    """Return a page as the browser has it after its scripts have run."""
    what = [f"--screenshot={picture}"] if picture else ["--virtual-time-budget=8000", "--dump-dom"]
    window = [f"--window-size={width},900", f"--user-data-dir={folder}/chromium"]
    words = [chromium, *FLAGS, *window, *what, url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def probe(page: str) -> dict[str, Any]:
    """Return what `PROBE` left in a page."""
    return json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', page, re.S)[1]))
