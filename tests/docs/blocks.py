"""Blocks of code of the pages, and the steps by which a reader goes through them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.printed import ROOT, Shell, ended

PAGES = ("README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md"))))
PAGES += tuple(f"dashboards/{p.name}" for p in sorted((ROOT / "dashboards").glob("*.md")))
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STEP_S = 600.0


@dataclass(frozen=True)
class Block:
    """A block between fences: its page, its language and its text."""

    page: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Return every block of every page, without those of output and diagrams."""
    return [block for block in all_blocks() if block.language not in ("", "text")]


def all_blocks() -> list[Block]:
    """Return every block of every page."""
    return [
        Block(page, *match) for page in PAGES for match in _FENCE.findall((ROOT / page).read_text())
    ]


def find(name: str) -> Block:
    """Return the one block that `PAGE: PHRASE` names."""
    page, phrase = name.split(": ", 1)
    found = [block for block in blocks() if block.page == page and phrase in block.text]
    assert len(found) == 1, f"{name}: expected one block with this phrase, got {len(found)}"
    return found[0]


@dataclass(frozen=True)
class Save:
    """Write a block to a file as a reader does; a study gets the smallest settings.

    Attributes:
        block: The block, as `find` takes it.
        file: Name of the file.
        small: Merged into a YAML document.
    """

    block: str
    file: str
    small: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[str, ...]:
        return (self.block,)

    def do(self, shell: Shell) -> None:
        text = find(self.block).text
        if self.small:
            text = yaml.safe_dump(yaml.safe_load(text) | dict(self.small))
        path = shell.folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """Run blocks of one language, several as one script.

    Attributes:
        blocks: The blocks, as `find` takes them.
        small: What is replaced in their text, each of which they must have.
        shows: A pattern that the output must have.
    """

    blocks: tuple[str, ...]
    small: Mapping[str, str] = field(default_factory=dict)
    shows: str = ""

    def do(self, shell: Shell) -> None:
        found = [find(name) for name in self.blocks]
        text = "\n".join(block.text for block in found)
        for old, new in self.small.items():
            assert old in text, f"{self.blocks}: expected {old!r}"
            text = text.replace(old, new)
        (language,) = {block.language for block in found}
        if language == "python":
            (shell.folder / "step.py").write_text(text, encoding="utf-8")
            text = "python step.py"
        _shown(shell, text, self.shows)


@dataclass(frozen=True)
class Do:
    """Run a command that no block has, to prepare the next step or to look at the last one."""

    command: str
    shows: str = ""
    blocks: tuple[str, ...] = ()

    def do(self, shell: Shell) -> None:
        _shown(shell, self.command, self.shows)


@dataclass(frozen=True)
class File:
    """Write a file that no block has."""

    file: str
    text: str
    blocks: tuple[str, ...] = ()

    def do(self, shell: Shell) -> None:
        path = shell.folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text, encoding="utf-8")


def _shown(shell: Shell, text: str, pattern: str) -> None:
    said = ended(shell.open(f"set -eu\n{text}"), timeout_s=_STEP_S)
    assert re.search(pattern, said), f"expected {pattern!r} of\n{text}\ngot\n{said}"
