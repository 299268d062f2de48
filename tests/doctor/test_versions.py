"""Pythons, packages and torches that do not fit."""

from pathlib import Path

import pytest

from handssl.doctor import Settings, diagnose, versions

SETTINGS = Settings(Path("/nowhere"), "")


def found(name):
    versions.torch_report.cache_clear()
    (finding,) = diagnose(SETTINGS, checks=[name])
    versions.torch_report.cache_clear()
    return finding


@pytest.mark.parametrize(
    ("version", "verdict"),
    [((3, 10, 9), "failed"), ((3, 11, 0), "ok"), ((3, 13, 5), "ok"), ((3, 14, 0), "failed")],
)
def test_a_python_outside_the_range_fails(monkeypatch, version, verdict):
    monkeypatch.setattr("handssl.doctor.versions.sys.version_info", version)
    finding = found("python")
    assert finding.verdict == verdict
    assert bool(finding.fix) == (verdict == "failed")


def test_what_is_installed_here_is_within_the_ranges():
    assert found("packages").verdict in ("ok", "warning")


def test_the_range_of_python_is_that_of_the_project():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    least, beyond = (".".join(map(str, bound)) for bound in versions.PYTHON)
    assert project["requires-python"] == f">={least},<{beyond}"


@pytest.mark.parametrize(
    ("asked", "verdict", "detail", "fix"),
    [
        (["numpy>=99"], "failed", "numpy ", "pip install 'numpy>=99'"),
        (["numpy!=99.*"], "ok", "", ""),
        (["never-made-package>=1"], "failed", "never-made-package is missing", "pip install"),
        (["albumentations>=2"], "warning", "no the backend", "pip install 'albumentations>=2'"),
        (["never-made-package; extra == 'dev'"], "ok", "", ""),
    ],
)
def test_packages_are_compared_with_what_is_asked(monkeypatch, asked, verdict, detail, fix):
    installed = versions._installed
    without = {"albumentations": None}
    monkeypatch.setattr(versions, "requires", lambda name: asked)
    monkeypatch.setattr(
        versions, "_installed", lambda name: without[name] if name in without else installed(name)
    )
    finding = found("packages")
    assert finding.verdict == verdict
    assert detail.removeprefix("no ") in finding.detail
    assert finding.fix.startswith(fix)


def stand_in(folder, monkeypatch, **modules):
    """Put modules before those that are installed, for processes that are started."""
    for name, text in modules.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


TORCH = """
from types import SimpleNamespace as Space
__version__ = "2.13.0"
version = Space(cuda=None)
ops = Space(torchvision=Space())
cuda = Space(device_count=lambda: 0)
get_num_threads = lambda: 1
"""


def test_a_torchvision_for_another_torch_fails(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, torch=TORCH, torchvision="__version__ = '0.1'")
    finding = found("torch")
    assert finding.verdict == "failed"
    assert "torchvision::nms is missing" in finding.detail
    assert finding.fix.endswith("pip install --upgrade torch torchvision")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("raise RuntimeError('operator torchvision::nms does not exist')", "RuntimeError: oper"),
        ("import os; os.abort()", "its process was killed by signal 6"),
    ],
)
def test_a_torch_that_cannot_be_loaded_is_a_finding_of_every_check(
    tmp_path, monkeypatch, text, detail
):
    stand_in(tmp_path, monkeypatch, torch=text)
    for name in ("torch", "devices"):
        finding = found(name)
        assert finding.verdict == "failed"
        assert detail in finding.detail


def test_the_torch_here_loads_with_its_torchvision():
    assert found("torch").verdict == "ok"
