from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from handssl.cli.commands.study import load_study
from handssl.cli.views.live import LiveProgress, RunProgress
from handssl.cli.views.study_run import continuing_command, interruption_message
from handssl.errors import InputError
from handssl.execution.result import StudyResult
from handssl.ledger.record import TrialRecord
from handssl.runtime.shell_commands import program
from handssl.study.events import Ended, Planned, Selected, Tick
from handssl.study.stages import Selection
from handssl.study.trials import plan_study
from tune_spaces import smoke


def record(cell: str, outcome: str, epoch: int) -> TrialRecord:
    return TrialRecord(
        trial_id="0" * 16,
        study="smoke",
        stage="objectives",
        cell=cell,
        composition="rotate",
        objective="relative",
        block=1,
        outcome=outcome,
        epoch=epoch,
        epochs=3,
        metrics={},
    )


@pytest.mark.parametrize(
    "storage", [[], ["--storage", "old place"], ["--storage=old place"]], ids=["none", "two", "one"]
)
def test_the_continuing_command_names_the_storage_once_and_in_full(storage: list[str]) -> None:
    argv = ["/opt/none/handssl", "demo", *storage, "--set", "blocks=[1, 2]"]
    command = continuing_command(argv, Path("/runs/my first"))
    assert shlex.split(command) == [
        *program(),
        *("demo", "--set", "blocks=[1, 2]", "--storage", "/runs/my first"),
    ]


def test_the_message_of_an_interruption_says_what_is_kept_and_how_to_go_on() -> None:
    records = (record("relative rotate", "completed", 3), record("relative blur", "running", 2))
    result = StudyResult(smoke.study(), Path("/runs"), "sqlite://", records, 13, interrupted=True)
    message = interruption_message(result, ["/opt/none/handssl", "demo"])
    assert "1 of 13 trials finished" in message
    assert "relative blur after epoch 2 of 3" in message
    assert message.endswith("handssl demo --storage /runs")


def test_a_study_is_found_by_name_and_by_file(tmp_path: Path) -> None:
    assert load_study("smoke") == smoke.study()
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ncells: [{composition: rotate}]\n", encoding="utf-8")
    assert load_study(str(file)).name == "mine"
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        load_study("smok")


def test_off_a_terminal_progress_is_plain_lines_with_every_end() -> None:
    import io

    from rich.console import Console

    text = io.StringIO()
    study = smoke.study()
    trials = plan_study(study, "data")
    with LiveProgress(Console(file=text, width=200)) as progress:
        progress(Planned(study, trials, trials, 2))
        progress(Ended(trials[0], "stopped", 1, 80.0))
        progress(Tick())
    lines = text.getvalue().splitlines()
    assert lines[0].startswith(f"0/{len(trials)} trials")
    assert lines[1] == f"{trials[0].cell}, block 1: stopped after epoch 1 80.0 mm"
    assert len(lines) == 2  # the next plain line is due after ten seconds


def test_quiet_shows_nothing() -> None:
    import io

    from rich.console import Console

    text = io.StringIO()
    study = smoke.study()
    trials = plan_study(study, "data")
    with LiveProgress(Console(file=text), quiet=True) as progress:
        progress(Planned(study, trials, trials, 2))
        progress(Ended(trials[0], "completed", 3, 80.0))
    assert text.getvalue() == ""


def shown_by(selection: Selection, kind: type[LiveProgress] = LiveProgress) -> list[str]:
    import io

    from rich.console import Console

    text = io.StringIO()
    with kind(Console(file=text, width=80)) as progress:
        progress(Tick())
        progress(Selected(selection))
    return text.getvalue().splitlines()[1:]


def test_what_a_stage_has_chosen_is_reported_when_it_has_a_line_for_each_choice() -> None:
    reasons = (
        "rotate: undecided (relative -11.6 mm, one seed)",
        "blur: contrastive, it has no parameters to predict",
    )
    chosen = Selection(stage="objectives", objective_of={"rotate": "relative"}, reasons=reasons)
    assert shown_by(chosen) == list(reasons)


def test_of_one_pretraining_nothing_is_chosen() -> None:
    assert shown_by(Selection(stage="pretrain", reasons=("x",)), RunProgress) == []
