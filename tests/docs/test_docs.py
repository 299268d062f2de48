"""What README and docs say is what the code does."""

import importlib
import re
import tempfile
from pathlib import Path

import click
import pytest
import yaml

from handssl.cli.app import cli
from handssl.data.readers.npz_file import schema
from handssl.transforms import TRANSFORMATIONS, AugmentConfig
from handssl.transforms.custom_check import require_sound
from handssl.transforms.sampling import UNIT, intervals_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_table_of_transformations_has_the_defaults(name):
    text = (ROOT / "docs" / "transformations.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` ")]
    ranges, probability = row.split("|")[3:5]
    config = AugmentConfig()
    assert float(probability) == getattr(config, name).probability
    written = {tuple(map(float, m)) for m in re.findall(r"\[(-?[\d.]+), (-?[\d.]+)\]", ranges)}
    for interval in intervals_of(config, name):
        if interval is not UNIT:
            assert any(
                interval.low == pytest.approx(low, rel=1e-3)
                and interval.high == pytest.approx(high, rel=1e-3)
                for low, high in written
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/data.md"])
def test_the_studies_on_a_page_are_valid(page):
    from handssl.study.study import Study

    studies = blocks(ROOT / page, "yaml")
    assert studies
    for text in studies:
        assert Study.parse(yaml.safe_load(text)).cells


def test_the_python_of_the_readme_uses_names_that_exist():
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    compile(code, "README.md", "exec")
    for module, name in re.findall(r"\b(handssl|objectives)\.(\w+)\(", code):
        owner = {"handssl": "handssl", "objectives": "tune_spaces.objectives"}[module]
        assert callable(getattr(importlib.import_module(owner), name))


def test_the_example_of_the_data_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (code,) = blocks(ROOT / "docs" / "data.md", "python")
    exec(compile(code, "data.md", "exec"), {})
    assert capsys.readouterr().out.strip() == "(21, 2)"


def test_the_own_transformation_of_the_api_page_is_one(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "api.md").read_text().split("## Your own transformation")[1]
    module, study = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "ops.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict = {}
    exec(compile(study, "api.md", "exec"), names)
    assert capsys.readouterr().out.strip() == study.strip().splitlines()[-1].removeprefix("# ")
    (own,) = names["study"].pretrain.augmentation.custom
    require_sound(own, view_px=16)


def test_the_data_page_has_the_schema_of_converted_datasets():
    assert schema() in (ROOT / "docs" / "data.md").read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/data.md"])
def test_the_commands_on_a_page_have_the_options_they_are_given(page):
    for line in blocks(ROOT / page, "sh"):
        for words in (text.split("#")[0].split() for text in line.splitlines()):
            if words[:1] == ["handssl"]:
                command, rest = cli, words[1:]
                while isinstance(command, click.Group):
                    command, rest = command.commands[rest[0]], rest[1:]
                known = {name for option in command.params for name in option.opts}
                assert {word for word in rest if word.startswith("--")} <= known, words
