"""What is built from a checkout says which commit it is, wherever it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import handssl

ROOT = Path(handssl.__file__).parents[1]
ASK = """
import json
from importlib.metadata import version
from handssl.runtime.provenance import provenance
import handssl
print(json.dumps(provenance() | {"label": version("handssl"), "__file__": handssl.__file__}))
"""
BUILT = ("handssl", "tune_spaces", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def command(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def git(*words: str, cwd: Path) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    return command("git", *who, *words, cwd=cwd)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A repository of one commit without a tag, with the files of this one as they are now."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = git("ls-files", "-co", "--exclude-standard", *BUILT, ".gitignore", cwd=ROOT)
    for name in listed.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    git("init", "--quiet", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "all of it", cwd=folder)
    return folder


def asked(folder: Path, target: Path) -> dict[str, str]:
    """Build the wheel of a folder, install it, and ask it there whence it is."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = ["--no-deps", "--no-build-isolation", "--no-index", "-w", "dist", "."]
    command(*pip, "wheel", *build, cwd=folder)
    [wheel] = (folder / "dist").glob("handssl-*.whl")
    install = ["--no-deps", "--no-index", "--target", str(target), str(wheel)]
    command(*pip, "install", *install, cwd=folder)
    wheel.unlink()
    env = ["env", f"PYTHONPATH={target}"]
    found = json.loads(command(*env, sys.executable, "-c", ASK, cwd=target))
    assert found.pop("__file__").startswith(str(target))
    return found


def digest(folder: Path) -> str:
    code = "from handssl.runtime.installation import code_digest; print(code_digest())"
    return command("env", f"PYTHONPATH={folder}", sys.executable, "-c", code, cwd=folder)


def test_a_wheel_carries_commit_changes_and_the_digest_of_its_checkout(checkout, tmp_path):
    commit = git("rev-parse", "HEAD", cwd=checkout)
    clean = asked(checkout, tmp_path / "clean")
    assert clean["mlflow.source.git.commit"] == commit
    assert clean["git_dirty"] == "false"
    assert clean["code_digest"] == digest(checkout)
    assert clean["label"].startswith(f"0.1.0.dev1+g{commit[:7]}")
    changed = checkout / "tune_spaces" / "smoke.py"
    changed.write_text(changed.read_text() + "\n")
    dirty = asked(checkout, tmp_path / "dirty")
    git("checkout", "--quiet", ".", cwd=checkout)
    assert dirty["mlflow.source.git.commit"] == commit
    assert dirty["git_dirty"] == "true"
    assert ".d2" in dirty["label"]
    assert dirty["code_digest"] != clean["code_digest"]


def test_an_archive_without_git_is_installed_too_and_claims_no_commit(checkout, tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    git("archive", "--output", str(tmp_path / "all.tar"), "HEAD", cwd=checkout)
    command("tar", "xf", str(tmp_path / "all.tar"), cwd=archive)
    found = asked(archive, tmp_path / "installed")
    assert found["label"] == "0.1.0.dev0"
    assert "mlflow.source.git.commit" not in found
    assert found["code_digest"] == digest(checkout)
