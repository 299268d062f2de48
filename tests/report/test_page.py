from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser

import pytest

from handssl.errors import InputError
from handssl.report.formats.writing import write
from handssl.report.rows import Row
from tests.report.made_up import page_of, report_of

FACTS = {"storage": "/somewhere/handssl-runs", "epochs": "6"}
VOID = {"meta", "link", "br"}


class Elements(HTMLParser):
    """Collects every element with its attributes; knows whether all were closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.misplaced = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.misplaced.append(tag)

    def count(self, tag, *classes):
        return sum(
            name == tag and set(classes) <= set((attrs.get("class") or "").split())
            for name, attrs in self.found
        )


@pytest.mark.parametrize("name", ["rows", "three_blocks"])
def test_every_element_is_closed_in_order(request, name):
    elements = Elements(page_of(request.getfixturevalue(name), plan_facts=FACTS))
    assert elements.open == elements.misplaced == []


def test_the_page_refers_to_nothing_outside_itself(three_blocks):
    text = page_of(three_blocks, plan_facts=FACTS).replace("sqlite:///", "")  # plain text
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bsrc=|<script|<iframe", text)
    hrefs = [attrs["href"] for _, attrs in Elements(text).found if "href" in attrs]
    assert hrefs == ["data:,"]


def test_everything_that_is_shown_is_escaped(rows):
    evil = '<img src=x onerror="alert(1)">&\'"'
    row = Row(evil, evil, evil, 1, "completed", 6, 6, 61.0, curve=((1, 70.0), (6, 61.0)))
    elements = Elements(page_of([*rows, row], evil, plan_facts={evil: evil}))
    assert elements.count("img") == 0
    assert not any("onerror" in attrs for _, attrs in elements.found)
    assert elements.open == elements.misplaced == []


def test_the_table_shows_references_the_leader_and_early_trials(rows):
    elements = Elements(page_of(rows))
    assert elements.count("tr", "reference") == 6
    assert elements.count("tr", "trial") == 10
    assert elements.count("tr", "first") == 1
    assert elements.count("tr", "section") == 1


def test_values_that_are_missing_leave_the_page_whole():
    failed = Row("contrastive blur", "blur", "contrastive", 1, "failed", 0, 6)
    only = Row(
        "relative rotate", "rotate", "relative", 1, "completed", 1, 1, 60.0, curve=((1, 60.0),)
    )
    for rows in ([], [failed], [only], [failed, only]):
        text = page_of(rows)
        assert "nan" not in text
        assert Elements(text).open == []


def test_an_order_that_lacks_a_step_is_reported_on_the_page(rows):
    text = page_of([row for row in rows if row.label != "supervised"])
    assert "supervised is missing" in text
    assert '<p class="undecided">' in text


def test_the_page_of_one_seed_decides_nothing_and_says_that_its_numbers_need_the_machine(rows):
    text = page_of(rows)
    assert "All of this is undecided: one seed." in text
    assert "In order in 1 of 1 block on select, in 1 on test; undecided: one seed." in text
    for word in (" beats ", "relative is better", '"held"', '"failed"'):
        assert word not in text
    assert "The numbers depend on the machine: the number of threads and the vector width" in text


def test_writing_replaces_the_page_and_leaves_nothing_else(rows, tmp_path):
    target = tmp_path / "new" / "study.html"
    for title in ("First", "Second"):
        write(report_of(rows, title), target)
    assert "Second" in target.read_text(encoding="utf-8")
    assert [file.name for file in target.parent.iterdir()] == ["study.html"]


def test_a_write_that_fails_keeps_the_page_that_was_there(rows, tmp_path, monkeypatch):
    target = tmp_path / "study.html"
    write(report_of(rows, "First"), target)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write(report_of(rows, "Second"), target)
    assert "First" in target.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["study.html"]


def test_a_folder_that_cannot_be_made_is_one_message(rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a file to write the report to"):
        write(report_of(rows), tmp_path / "file" / "study.html")


def test_a_real_browser_shows_the_table_and_both_figures(rows, chromium, tmp_path):
    path = tmp_path / "study.html"
    write(report_of(rows, "<demo>"), path)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--no-first-run", f"--user-data-dir={tmp_path / 'p'}"]
    shown = subprocess.run(
        [chromium, *flags, "--virtual-time-budget=1000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    elements = Elements(shown)
    assert "<h1>Study &lt;demo&gt;</h1>" in shown
    assert elements.count("table") == 2  # cells, files
    assert elements.count("tr", "trial") == 10
    assert elements.count("figure") == 2
    marks = elements.count("circle", "dot") + elements.count("path", "dot")
    keys = elements.count("circle", "dot-key") + elements.count("path", "dot-key")
    assert marks - keys == 10
    assert elements.count("circle", "dot", "early") - 1 == 3
    assert elements.count("polyline", "curve") == 10
    assert elements.count("polyline", "curve", "early") == 3
    assert elements.count("polyline", "reference") == 2
