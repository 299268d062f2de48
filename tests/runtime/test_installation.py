"""The digest of the installed code: of contents alone, quick, and shown by `--version`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import handssl
from handssl.runtime.installation import PACKAGES, code_digest, digest_of

ROOT = Path(handssl.__file__).parents[1]
PRINT = "from handssl.runtime.installation import code_digest; print(code_digest())"


def digest_in(folder: Path) -> str:
    """Return the digest that a process has which imports from a folder."""
    command = [sys.executable, "-c", PRINT]
    env = {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def copied(folder: Path) -> Path:
    """Copy the files of the packages that git knows of, as a wheel does."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def test_the_digest_is_that_of_the_content_wherever_it_lies(tmp_path):
    copy = copied(tmp_path / "copy")
    assert digest_in(copy) == digest_in(ROOT)
    (copy / "handssl" / "_commit.json").write_text("{}")  # as in a wheel
    (copy / "handssl" / "pose" / "__pycache__" / "x.pyc").parent.mkdir(exist_ok=True)
    (copy / "handssl" / "pose" / "__pycache__" / "x.pyc").write_text("compiled")
    assert digest_in(copy) == digest_in(ROOT)


def test_every_file_counts_by_name_and_content(tmp_path):
    copy = copied(tmp_path / "copy")
    before = {digest_in(copy)}
    data = copy / "handssl" / "service" / "web" / "static" / "style.css"
    data.write_text(data.read_text() + "\n")
    before.add(digest_in(copy))
    (copy / "tune_spaces" / "smoke.py").rename(copy / "tune_spaces" / "smok.py")
    before.add(digest_in(copy))
    (copy / "handssl" / "new.py").write_text("")
    before.add(digest_in(copy))
    assert len(before) == 4


def test_it_takes_less_than_a_twentieth_of_a_second_and_is_taken_once(monkeypatch):
    spent_s = []
    for _ in range(5):
        start_s = time.process_time()
        assert digest_of(PACKAGES) == code_digest()
        spent_s.append(time.process_time() - start_s)
    assert min(spent_s) < 0.05
    monkeypatch.setattr("handssl.runtime.installation.digest_of", lambda packages: "another")
    assert code_digest() != "another"


def test_the_version_is_shown_with_commit_and_digest(capsys):
    command = [sys.executable, "-m", "handssl.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("handssl, version ")
    assert f"code {code_digest()}" in done.stdout
    assert "commit " in done.stdout
