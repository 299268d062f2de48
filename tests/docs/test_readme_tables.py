"""The tables of README lead from each section of the paper to files, studies and tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handssl.cli.app import cli
from handssl.cli.commands.study import NAMES
from tests.docs.test_architecture import defined

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)(?:#([^)]+))?\)")


def table(first: str) -> list[dict[str, str]]:
    """Return the rows of the table whose first column has a title, by the titles of its columns."""
    head, *rest = TEXT[TEXT.index(f"| {first} |") :].split("\n\n")[0].splitlines()
    titles = [cell.strip() for cell in head.strip("|").split("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest[1:]]
    assert all(len(row) == len(titles) for row in rows)
    return [dict(zip(titles, row, strict=True)) for row in rows]


SECTIONS, FEATURES = table("section"), table("feature")
ROWS = [*SECTIONS, *FEATURES]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in titles}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: next(iter(row.values())))
def test_every_link_of_a_row_leads_to_what_it_names(row):
    for _, path, anchor in LINK.findall(" ".join(row.values())):
        assert (ROOT / path).exists(), path
        if anchor and path.endswith(".md"):
            assert anchor in anchors(ROOT / path), f"{path}#{anchor}"
        elif anchor:
            assert anchor in defined(path), f"{path}#{anchor}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: next(iter(row.values())))
def test_a_row_has_a_module_of_the_packages_and_a_test(row):
    [(title, module, _)] = LINK.findall(row["module"])
    assert module in (title, f"handssl/{title}")
    tests = [path for _, path, _ in LINK.findall(row["test"])]
    assert tests
    assert all(path.startswith("tests/") and path.endswith(".py") for path in tests)


@pytest.mark.parametrize("row", SECTIONS, ids=lambda row: row["section"])
def test_the_study_of_a_row_is_one_that_handssl_knows(row):
    for name in re.findall(r"`([^`]+)`", row["study"]):
        words = name.split()
        assert name in NAMES or (words[0] == "handssl" and words[1] in cli.commands), name


def test_no_section_of_the_paper_from_3_1_to_4_5_is_left_out():
    found = {row["section"].split()[0] for row in SECTIONS}
    assert found == {"3.1", "3.2", "4.1", "4.2", "4.3", "4.4", "4.5"}
    equations = re.findall(r"Eq\. (\d)", " ".join(row["section"] for row in SECTIONS))
    assert sorted(equations) == ["1", "2", "3", "4"]
