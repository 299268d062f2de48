from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from handssl.errors import InputError
from handssl.execution.storage import locked, resolve_storage


def test_the_argument_wins_over_the_environment_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HANDSSL_HOME", raising=False)
    assert resolve_storage() == tmp_path / "handssl-runs"
    monkeypatch.setenv("HANDSSL_HOME", str(tmp_path / "home"))
    assert resolve_storage() == tmp_path / "home"
    assert resolve_storage("here") == tmp_path / "here"


def test_a_second_run_on_the_same_storage_is_refused_and_reported_who_holds_it(
    tmp_path: Path,
) -> None:
    hold = (
        "import sys; from pathlib import Path; from handssl.execution.storage import locked\n"
        f"with locked(Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {holder.pid}"), locked(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with locked(tmp_path):  # the operating system lets go of a killed holder's lock
        pass


def test_a_storage_that_is_a_file_is_refused_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="--storage"), locked(tmp_path / "file"):
        pass
