"""Paths and names on docs/architecture.md and in CONTRIBUTING.md are those of the code."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from itertools import groupby
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PACKAGES = ("handssl", "tune_spaces")
FOLDERS = (*PACKAGES, "tests", "docs", "benchmarks", "dashboards")
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "dashboards").glob("*.md")])
MOST_ROOMS = 12
PATH = rf"(?:{'|'.join(FOLDERS)})/[\w./-]*"
STEP = re.compile(rf"^ *(?:\+-> +)?({PATH}) +(\S.*)$")


def section(text: str, title: str) -> str:
    """Return the text below a heading, up to the next one of its level."""
    level = title.split()[0]
    return re.split(rf"^{level} ", text.split(f"{title}\n", 1)[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a text, without heads."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    heads = {i - 1 for i, cells in enumerate(lines) if set("".join(cells)) <= set("|-")}
    return [cells for i, cells in enumerate(lines) if i not in heads and i - 1 not in heads]


def paths_in(text: str) -> list[str]:
    return re.findall(rf"`({PATH})`", text)


def names_in(text: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", text)


def is_importable(name: str) -> bool:
    try:
        resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True


def walks() -> dict[str, list[tuple[str, list[str]]]]:
    """Return the steps of each walk: path and names."""
    parts = re.split(r"^### ", section(PAGE, "## Four walks"), flags=re.MULTILINE)[1:]
    blocks = {part.splitlines()[0]: re.findall(r"```\n(.*?)```", part, re.DOTALL) for part in parts}
    return {
        title: [(m[1], m[2].split(", ")) for line in block.splitlines() if (m := STEP.match(line))]
        for title, (block,) in blocks.items()
    }


@cache
def defined(path: str) -> frozenset[str]:
    """Return what a module defines: names at its top level, and members as `Class.member`."""
    body = ast.parse((ROOT / path).read_text()).body
    found = {name for node in body for name in _bound(node)}
    return frozenset(found).union(
        f"{node.name}.{name}"
        for node in body
        if isinstance(node, ast.ClassDef)
        for member in node.body
        for name in _bound(member)
    )


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [n.id for one in targets for n in ast.walk(one) if isinstance(n, ast.Name)]
    return []


def named_in_brackets(text: str) -> list[tuple[str, str]]:
    """Return every (path, name) where names follow a path in brackets."""
    found = re.findall(rf"`({PATH}\.py)` \(([^)]*)\)", text)
    return [(path, name) for path, words in found for name in names_in(words)]


def named_files() -> list[tuple[str, str]]:
    """Return every (path, name) that the page states: in the table, in walks and in brackets."""
    stated = named_in_brackets(PAGE)
    for _, files, names in rows(section(PAGE, "## Where is ...?")):
        several = names.split(";")
        assert len(several) == len(paths_in(files)), files
        stated += [
            (path, name)
            for path, part in zip(paths_in(files), several, strict=True)
            for name in names_in(part)
        ]
    steps = [step for walk in walks().values() for step in walk]
    return stated + [(path, name) for path, names in steps for name in names]


def test_the_page_names_many_files_and_each_name_is_defined_in_its_file():
    stated = named_files()
    assert len({path for path, _ in stated}) > 60
    missing = [(path, name) for path, name in stated if not (ROOT / path).is_file()]
    assert not missing
    assert not [(path, name) for path, name in stated if name not in defined(path)]


@pytest.mark.parametrize("text", [PAGE, CONTRIBUTING], ids=["architecture", "CONTRIBUTING"])
def test_every_path_on_a_page_exists(text):
    found = paths_in(text)
    assert len(found) > 20
    assert not [path for path in found if not (ROOT / path).exists()]
    assert not [path for path in found if (ROOT / path).is_dir() != path.endswith("/")]


def test_names_in_brackets_behind_a_path_of_contributing_are_defined_there():
    stated = named_in_brackets(CONTRIBUTING)
    assert len(stated) > 20
    assert not [(path, name) for path, name in stated if name not in defined(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_modules_that_a_page_mentions_exist(page):
    text = page.read_text()
    assert not [path for path in paths_in(text) if not (ROOT / path).exists()]
    dotted = re.findall(r"(?<![\w/])handssl(?:\.[A-Za-z_]\w*)+", text)
    assert not [name for name in dotted if not is_importable(name)]


def test_a_row_of_the_table_names_a_thing_a_file_and_a_name():
    table = rows(section(PAGE, "## Where is ...?"))
    assert len(table) > 40
    things = [thing for thing, _, _ in table]
    assert len(set(things)) == len(things)
    assert all(paths_in(files) and names_in(names) for _, files, names in table)


def test_the_four_walks_have_at_most_twelve_rooms_each():
    found = walks()
    assert [title.split(":")[0] for title in found] == ["Theta", "A metric", "A study", "A job"]
    for title, steps in found.items():
        assert 4 < len({path for path, _ in steps}) <= MOST_ROOMS, title


def test_a_walk_says_between_two_rooms_what_is_handed_on():
    for block in re.findall(r"```\n(.*?)```", section(PAGE, "## Four walks"), re.DOTALL):
        kinds = ["room" if STEP.match(line) else line.split()[0] for line in block.splitlines()]
        side = [i for i, line in enumerate(block.splitlines()) if line.lstrip().startswith("+->")]
        main = [kind for i, kind in enumerate(kinds) if i not in side]
        assert main == ["room", "|", "v"] * (len(main) // 3) + ["room"]


def test_the_layers_on_the_page_are_those_that_the_check_enforces_in_their_order():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [
        one["layers"]
        for one in settings["contracts"]
        if one["type"] == "layers" and "tune_spaces" in one["layers"]
    ]
    table = [cells for cells in rows(section(PAGE, "## Layers")) if cells[0].isdigit()]
    on_page = [
        [re.sub(r"/$|\.py$", "", paths_in(row[1])[0]).replace("/", ".") for row in level]
        for _, level in groupby(table, key=lambda cells: cells[0])
    ]
    assert [re.split(r" [:|] ", level) for level in contract] == on_page
    assert [cells[0] for cells in table] == sorted((c[0] for c in table), key=int)
    assert all(len(cells) == 3 and cells[2] for cells in table)


@cache
def importers(library: str) -> frozenset[str]:
    """Return the files of the packages that import a library themselves."""
    return frozenset(
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if library in (text := path.read_text()) and library in _imports(text)
    )


def _imports(text: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(text)))
    plain = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | parts}


LIBRARIES = [cells for cells in rows(section(PAGE, "## Layers")) if not cells[0].isdigit()]


@pytest.mark.parametrize(("library", "places"), LIBRARIES, ids=[cells[0] for cells in LIBRARIES])
def test_a_library_is_imported_where_the_page_says_and_nowhere_else(library, places):
    (name,), allowed = names_in(library), tuple(paths_in(places))
    found = importers(name)
    assert not [path for path in found if not path.startswith(allowed)]
    assert not [place for place in allowed if not any(path.startswith(place) for path in found)]


def test_how_to_add_has_a_row_for_every_kind_of_addition():
    table = rows(section(CONTRIBUTING, "## How to add"))
    found = " ".join(cells[0] for cells in table)
    for kind in (
        *("transformation of your own", "built-in transformation", "objective"),
        *("error statistic", "effect estimator", "executor", "execution option", "command"),
        *("dataset", "stage"),
    ):
        assert kind in found, kind
    assert all(len(cells) == 3 and cells[2] for cells in table)
    assert all(paths_in(cells[1]) for cells in table if "of your own" not in cells[0])
