"""`handssl doctor` as a person and as a script see it."""

import json
import subprocess
import sys
import time

import pytest

from handssl.cli.app import invoke
from handssl.cli.commands import doctor as verb
from handssl.doctor import CHECKS, Finding

PROGRAM = "import sys; sys.argv[0] = 'handssl'; from handssl.cli import main; sys.exit(main())"


@pytest.fixture
def checks(monkeypatch):
    """The table of checks, empty, for the test to fill."""
    monkeypatch.setattr("handssl.doctor.run.CHECKS", {})
    from handssl.doctor import run

    return run.CHECKS


def always(verdict, name="disk", fix=""):
    return lambda settings: Finding(name, verdict, f"{settings.storage.name} looked at", fix)


def run(capsys, *words):
    code = invoke(["doctor", "--storage", "runs", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_every_finding_is_a_line_and_the_last_one_says_how_it_is(capsys, checks):
    checks |= {"disk": always("ok"), "ray": always("skipped", "ray")}
    code, out, err = run(capsys)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["ok", "disk", "runs", "looked", "at"]
    assert lines[1].split()[:2] == ["skipped", "ray"]
    assert lines[2:] == ["All checks passed."]
    assert err == ""


def test_a_warning_comes_with_its_fix_and_is_no_failure(capsys, checks):
    checks |= {"disk": always("warning", fix="buy one")}
    code, out, _ = run(capsys)
    assert code == 0
    assert out.splitlines()[1].strip() == "fix: buy one"
    assert "the warnings say" in out.splitlines()[-1]


def test_a_check_that_crashes_is_a_failure_and_the_others_are_made(capsys, checks):
    def crash(settings):
        raise KeyError("lost")

    checks |= {"first": crash, "disk": always("ok")}
    code, out, _ = run(capsys)
    assert code == 1
    assert out.splitlines()[0].split()[:3] == ["failed", "first", "KeyError:"]
    assert "Traceback" not in out
    assert "fix: " in out.splitlines()[1]
    assert out.splitlines()[2].startswith("ok")


def test_scripts_get_one_document_and_the_same_exit_code(capsys, checks):
    checks |= {"disk": always("ok"), "ray": always("failed", "ray", "start one")}
    code, out, _ = run(capsys, "--json")
    document = json.loads(out)
    assert code == 1
    assert document["verdict"] == "failed"
    assert document["findings"][1] == {
        "name": "ray",
        "verdict": "failed",
        "detail": "runs looked at",
        "fix": "start one",
    }


@pytest.mark.parametrize(("option", "said"), [([], "disk ...\n"), (["--quiet"], "")])
def test_what_takes_long_is_named_while_it_is_waited_for(capsys, checks, monkeypatch, option, said):
    monkeypatch.setattr(verb, "_PATIENCE_S", 0.0)

    def slow(settings):
        deadline = time.monotonic() + 5
        while not (err := capsys.readouterr().err) and not option:
            assert time.monotonic() < deadline
        heard.append(err)
        return Finding("disk", "ok", "")

    heard = []
    checks |= {"disk": slow}
    assert run(capsys, *option)[0] == 0
    assert heard == [said]


def test_every_check_names_its_finding_as_the_table_does(tmp_path):
    import inspect

    for name, check in CHECKS.items():
        assert f'Finding("{name}"' in inspect.getsource(check) + inspect.getsource(
            inspect.getmodule(check)
        )


def test_a_reader_that_leaves_is_no_traceback(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "doctor", "--storage", str(tmp_path), "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert b"Traceback" not in err
