"""Two processes that cannot talk, and ten steps that give no number or another one."""

from pathlib import Path

import pytest

from handssl.doctor import Settings, diagnose, short_training, training
from handssl.errors import DivergedError

pytestmark = pytest.mark.faults

SETTINGS = Settings(Path("/nowhere"), "")


def found(name, settings=SETTINGS):
    (finding,) = diagnose(settings, checks=[name])
    return finding


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(training, "torch_report", lambda timeout_s: {"gpus": []})


def test_two_processes_sum_a_number():
    finding = found("all-reduce")
    assert finding.verdict == "ok", finding
    assert "two processes over gloo sum a number" in finding.detail


def test_an_interface_that_is_not_there_fails_with_the_variable_to_set(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "absent0")
    finding = found("all-reduce")
    assert finding.verdict == "failed"
    assert "absent0" in finding.detail
    assert "GLOO_SOCKET_IFNAME=lo" in finding.fix


def test_processes_that_do_not_meet_in_time_are_reported():
    finding = found("all-reduce", Settings(Path("/nowhere"), "", ranks_timeout_s=0.1))
    assert finding.verdict == "failed"
    assert "ranks [0, 1] of 2 did not answer in time" in finding.detail
    assert "firewall" in finding.fix


@pytest.mark.timeout(180)
def test_ten_steps_are_made_twice_with_the_same_bits():
    finding = found("ten steps")
    assert finding.verdict == "ok", finding
    assert "images/s on cpu; a second time gives the same bits" in finding.detail


@pytest.mark.parametrize(("device", "verdict"), [("cpu", "failed"), ("cuda", "ok")])
def test_other_bits_are_a_failure_on_a_processor_alone(monkeypatch, device, verdict):
    answer = {"loss": 1.0, "views_per_s": 10.0, "device": device, "digests": ["a", "b"]}
    monkeypatch.setattr(training, "ask", lambda function, rounds, timeout_s: answer)
    finding = found("ten steps")
    assert finding.verdict == verdict
    assert "a second time gives other bits" in finding.detail
    assert bool(finding.fix) == (verdict == "failed")


def test_a_loss_that_is_not_finite_fails(monkeypatch, blob_data):
    values = {"train/loss": float("nan"), "train/views_per_s": 1.0}
    monkeypatch.setattr(short_training.Pretraining, "train_epoch", lambda self, epoch: values)
    config = short_training._config().merged({"encoder.input_px": 32})  # what the blobs have
    monkeypatch.setattr(short_training, "_config", lambda: config)
    with pytest.raises(DivergedError, match="gave the loss nan"):
        short_training._round(blob_data)
