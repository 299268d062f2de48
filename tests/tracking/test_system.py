"""The load of the machine: MLflow's names, few samples of long runs, once in MLflow."""

import ctypes
import threading

import pytest

from handssl.ledger import Ledger, TrialRecord
from handssl.runtime import nvml
from handssl.tracking import system_metrics

tracker_module = pytest.importorskip("handssl.tracking.tracker")


class Driver:
    """NVIDIA's library, as far as it is asked, with one GPU that does not tell its power."""

    def nvmlInit_v2(self):  # noqa: N802
        return 0

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802
        count._obj.value = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, handle):  # noqa: N802
        return 0

    def nvmlDeviceGetName(self, handle, text, length):  # noqa: N802
        text.value = b"H200"
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle, memory):  # noqa: N802
        memory._obj.total, memory._obj.used = 8_000_000_000, 2_000_000_000
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle, rates):  # noqa: N802
        rates._obj.gpu = 90
        return 0

    def nvmlDeviceGetPowerUsage(self, handle, power):  # noqa: N802
        return 3


@pytest.fixture
def fresh():
    nvml._devices.cache_clear()
    yield
    nvml._devices.cache_clear()


def test_a_gpu_is_shown_as_far_as_its_driver_tells(fresh, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert nvml.gpu_names() == ("H200",)
    assert nvml.gpu_load() == {
        "gpu_0_memory_usage_megabytes": 2000.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_utilization_percentage": 90.0,
    }


def test_a_machine_without_a_driver_has_no_gpus(fresh, monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert nvml.gpu_names() == ()
    assert nvml.gpu_load() == {}


def test_names_are_those_mlflow_uses(tmp_path):
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor

    theirs = set()
    for monitor in (CPUMonitor(), DiskMonitor()):
        monitor.collect_metrics()
        theirs |= {f"system/{name}" for name in monitor.aggregate_metrics()}
    ours = {name for name in system_metrics.sample(tmp_path) if "gpu" not in name}
    assert ours - theirs == {"system/process_memory_usage_megabytes"}
    assert theirs - ours == {"system/disk_usage_megabytes"}


def test_a_week_makes_a_few_thousand_samples():
    now_s, samples = 0.0, 0
    while now_s < 7 * 24 * 3600:
        now_s += system_metrics.period_s(now_s)
        samples += 1
    assert 500 < samples < 4000


def test_a_sampler_goes_on_until_it_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(system_metrics, "PERIOD_S", 0.001)
    samples, enough = [], threading.Event()

    def take(metrics):
        samples.append(metrics)
        if len(samples) == 3:
            enough.set()

    sampler = system_metrics.Sampler(tmp_path, take)
    sampler.start()
    assert enough.wait(20.0)
    sampler.stop()
    threads = [t for t in threading.enumerate() if t.name == "system"]
    for thread in threads:
        thread.join(20.0)  # the period, for which `stop` waits, is a thousandth of a second here
    assert not [t for t in threads if t.is_alive()]


def test_samples_are_recorded_with_trials_that_run_and_reach_mlflow_once(tmp_path):
    store, uri = Ledger(tmp_path), f"sqlite:///{tmp_path}/mlflow.db"
    entry = TrialRecord(
        trial_id="a" * 16,
        study="load",
        stage="objectives",
        cell="relative rotate",
        composition="rotate",
        objective="relative",
        block=1,
        outcome="running",
        epochs=1,
    )
    for _ in range(2):  # interrupted and continued
        tracker = tracker_module.MlflowTracker(uri, "load", store, samples_system=True)
        store.save(entry)
        tracker.start(entry, {})
        tracker._sampled({"system/cpu_utilization_percentage": 50.0})
        store.save(entry)
        tracker.finish(entry)
        tracker.close()
    tracker = tracker_module.MlflowTracker(uri, "load", store)
    assert tracker.sync() == 0
    run_id = store.load(entry.trial_id).mlflow_run_id
    name = "system/cpu_utilization_percentage"
    history = tracker._runs.client.get_metric_history(run_id, name)
    assert [point.step for point in history] == [0, 1, 2, 3]
    assert [row.epoch for row in store.system(entry.trial_id)] == [0, 1, 2, 3]
    tracker.close()
