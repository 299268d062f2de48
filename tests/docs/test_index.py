"""docs/index.md leads to every page, and CITATION.cff says what citing it takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
INDEX, README = ROOT / "docs" / "index.md", ROOT / "README.md"


def linked(page: Path) -> set[Path]:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    return {(page.parent / one).resolve() for one in targets if "://" not in one}


def reachable(page: Path, without: frozenset[Path] = frozenset()) -> set[Path]:
    """Return the pages that links lead to, one after the other, but not by way of some."""
    found, left = {page}, [page] if page.suffix == ".md" else []
    while left:
        for one in linked(left.pop()) - found - without:
            found.add(one)
            if one.suffix == ".md" and one.is_file():
                left.append(one)
    return found


def test_every_page_can_be_reached_from_the_index():
    pages = {*(ROOT / "docs").glob("*.md"), *(ROOT / "dashboards").glob("*.md")}
    pages |= {*(ROOT / "docs").glob("*.ipynb")}
    results = {one for one in (ROOT / "benchmarks").glob("*.md") if not one.stem.endswith("_text")}
    assert len(pages) > 15
    # Not by way of README, which is read first: the index itself leads on.
    by_index = {
        one for start in linked(INDEX) - {README} for one in reachable(start, frozenset({README}))
    }
    assert not {one.relative_to(ROOT) for one in (pages | results) - {INDEX} - by_index}


def test_links_of_the_index_lead_somewhere():
    assert not {one for one in linked(INDEX) if not one.exists()}


def test_readme_leads_to_the_index_and_the_index_to_readme():
    assert INDEX in linked(README)
    assert {README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"} <= reachable(INDEX)


def test_the_citation_has_the_fields_of_the_citation_file_format():
    # https://github.com/citation-file-format/citation-file-format, schema 1.2.0
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found["cff-version"] == "1.2.0"
    assert all(isinstance(found[name], str) and found[name] for name in ("message", "title"))
    assert found["title"] == project["name"]
    assert found["license"] == project["license"]
    assert found["type"] in ("software", "dataset")
    assert [one["name"] for one in found["authors"]] == [one["name"] for one in project["authors"]]
    assert set(found) <= {
        *("cff-version", "message", "type", "title", "abstract", "authors", "license"),
        *("keywords", "references", "version", "date-released", "repository-code", "url", "doi"),
    }
    assert len(set(found["keywords"])) == len(found["keywords"])


def test_the_citation_names_the_paper_with_its_authors():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    [paper] = found["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["title"] in (ROOT / "README.md").read_text().replace("*", "")
    readme = (ROOT / "README.md").read_text()
    for one in paper["authors"]:
        assert set(one) == {"given-names", "family-names"}
        assert one["family-names"] in readme
