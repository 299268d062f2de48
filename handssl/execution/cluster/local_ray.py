"""Local Ray instance for one sweep: small, quiet, and stopped afterwards with all its processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import ray

from handssl.errors import ClusterLostError, InputError, NoClusterError
from handssl.execution.cluster import processes
from handssl.execution.cluster.environment import is_loopback, on_loopback, own_ray
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import Cluster, available_cpus, divided

OBJECT_STORE_BYTES = 80 * 1024 * 1024
_TERM_TIMEOUT_S = 5.0
GROWS_TO = {"CPU": "HANDSSL_CLUSTER_CPUS", "GPU": "HANDSSL_CLUSTER_GPUS"}
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # only the old output can be silenced
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the driver checks itself
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
}


@contextmanager
def ray_cluster(
    address: str | None = None, *, cpus: int | None = None, options: ExecutionOptions | None = None
) -> Iterator[Cluster]:
    """Use the Ray that the caller has connected to, or start one here and stop it afterwards.

    A local Ray is started with Ray's default token authentication, without dashboard, and
    leaves no process behind, however the block ends.

    Args:
        address: Address of a cluster to connect to instead, as `ray.init` takes it.
        cpus: CPUs of a local Ray; default: all that this process may use.
        options: Execution options; they determine how many trials share the cluster.

    Raises:
        InputError: There is no cluster at the address, or it is smaller than requested.
        ClusterLostError: A local Ray did not start.
    """
    options = options or ExecutionOptions()
    with environment(_ENVIRONMENT), _quiet("ray"):
        if ray.is_initialized():
            yield _shares(options, owned=False)
            return
        if address is not None:
            yield from _connected(address, options)
            return
        others = set(psutil.Process().children(recursive=True))
        with own_ray() as temp:
            try:
                _start_reported(cpus or available_cpus(), temp)
                yield _shares(options, owned=True)
            finally:
                # From here on its processes are expected to end.
                processes.listener.started(())
                _stop(others)


def _connected(address: str, options: ExecutionOptions) -> Iterator[Cluster]:
    here = on_loopback() if is_loopback(address) else nullcontext()
    try:
        with here:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise NoClusterError(
            f"--address: expected a running Ray cluster, got {address!r}: {error}"
        ) from None
    try:
        yield _shares(options, owned=False)
    finally:
        ray.shutdown()


def _start_reported(cpus: int, temp: Path) -> None:
    """Start Ray, and report the processes it needs to the supervising listener."""
    processes.listener.starting()
    try:
        _start(cpus, temp)
    except Exception as error:  # Ray raises plain Exception if a part of it does not start
        raise ClusterLostError(f"Ray did not start: {error}") from error
    processes.listener.started(processes.needed_processes())


def _start(cpus: int, temp: Path) -> None:
    ray.init(
        address="local",
        _temp_dir=str(temp),
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=OBJECT_STORE_BYTES,
    )


def _stop(others: set[psutil.Process]) -> None:
    """Shut Ray down, then kill every process it had started that is still running."""
    started = set(psutil.Process().children(recursive=True)) - others
    ray.shutdown()
    _, alive = psutil.wait_procs(list(started), timeout=_TERM_TIMEOUT_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_TERM_TIMEOUT_S)


def _shares(options: ExecutionOptions, *, owned: bool) -> Cluster:
    cpus, gpus = (_most(kind, owned=owned) for kind in ("CPU", "GPU"))
    options.require(max(1, cpus), gpus)
    return divided(max(1, cpus), gpus, options, owned=owned)


def _most(kind: str, *, owned: bool) -> int:
    """Return how many there are or may be: workers scaled down to zero start on request."""
    there = int(ray.cluster_resources().get(kind, 0))
    # Ray's autoscaler shows a driver existing nodes only, so the cluster file sets variables.
    return there if owned else max(there, promised(kind))


def promised(kind: str) -> int:
    """Return how many CPUs or GPUs the cluster may grow to, according to the environment.

    Args:
        kind: `CPU` or `GPU`.

    Raises:
        InputError: The variable's value is not a whole number.

    Example:
        >>> with environment({"HANDSSL_CLUSTER_GPUS": "8"}):
        ...     promised("GPU")
        8
    """
    text = os.environ.get(GROWS_TO[kind]) or "0"
    if not text.isdecimal():
        raise InputError(f"${GROWS_TO[kind]}: expected a whole number such as 8, got {text!r}")
    return int(text)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that are not set already, and restore all afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: os.environ.get(name, value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library's log off the terminal: what matters is reported in our own lines."""
    logger = logging.getLogger(name)
    before = logger.level, ray._private.worker._worker_logs_enabled
    logger.setLevel(logging.CRITICAL)
    # Independently of the logger, Ray prints the end of every worker between our lines.
    ray._private.worker._worker_logs_enabled = False
    try:
        yield
    finally:
        logger.setLevel(before[0])
        ray._private.worker._worker_logs_enabled = before[1]
