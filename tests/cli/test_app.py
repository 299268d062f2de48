from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handssl.cli.app import invoke


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = invoke(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "handssl demo" in out
    assert "handssl study run" in out
    for verb in ("demo", "study", "report", "completion"):
        assert verb in out


@pytest.mark.parametrize("group", [[], ["study"], ["jobs"], ["token"], ["bench"], ["data"]])
def test_a_group_says_in_whole_sentences_what_its_commands_do(
    capsys: pytest.CaptureFixture[str], group: list[str]
) -> None:
    code, out, _ = run(capsys, *group, "--help")
    commands = out.split("Commands:\n")[1]
    said = re.split(r"\n  (?=\w)", "\n" + commands.rstrip())[1:]
    assert code == 0
    assert len(said) >= 3
    assert all(one.endswith(".") and not one.endswith("...") for one in said)


@pytest.mark.parametrize("verb", [["demo"], ["study", "run"], ["report"], ["completion"]])
def test_every_verb_has_an_example(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    code, out, _ = run(capsys, *verb, "--help")
    assert code == 0
    assert f"handssl {' '.join(verb)}" in out.split("Example", 1)[1]


def test_help_loads_none_of_the_heavy_libraries() -> None:
    # That is what keeps it under a second; time itself depends on the machine.
    code = (
        "import sys; sys.argv = ['handssl', '--help']\n"
        "from handssl.cli import main; code = main()\n"
        "heavy = {'torch', 'ray', 'mlflow', 'pandas', 'cv2', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else code)"
    )
    start_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start_s < 10


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert version("handssl") in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    code, out, _ = run(capsys, "completion", shell)
    assert code == 0
    assert "_HANDSSL_COMPLETE" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demmo"], "demmo"),
        (["demo", "--sizes", "small"], "--size"),
        (["demo", "--size", "huge"], "'small', 'order'"),
        (["demo", "--blocks", "0"], "1<=x"),
        (["demo", "--set", "epochs"], "expected KEY=VALUE"),
        (["demo", "--set", "pretrain.epoch=3"], "did you mean 'epochs'?"),
        (["demo", "--set", "pretrain.epochs=many"], "pretrain.epochs"),
        (["study", "run", "objectivs"], "did you mean 'objectives'?"),
        (["study", "run", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_a_study_file_with_mistakes_names_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nblokcs: [1]\npretrain: {epochs: -1}\n"
        "cells: [{composition: [rotat]}, {composition: [blur], objective: contrast}]\n"
    )
    command = [sys.executable, "-m", "handssl.cli", "study", "run", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"HANDSSL_HOME": str(tmp_path)}
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for said in (
        f"4 mistakes in {file}:",
        "blokcs: unknown key (got [1]); did you mean 'blocks'?",
        "pretrain.epochs: should be greater than or equal to 1 (got -1)",
        "cells.0.composition.0: unknown name 'rotat'; did you mean 'rotate'?",
        "cells.1.objective: unknown name 'contrast'; did you mean 'contrastive'?",
    ):
        assert said in done.stderr


def test_a_command_that_is_interrupted_exits_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(values: tuple[str, ...]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("handssl.cli.options.parse_changes", interrupted)
    monkeypatch.setattr("handssl.cli.commands.demo.parse_changes", interrupted)
    code, _, err = run(capsys, "demo")
    assert code == 130
    assert "interrupted" in err
