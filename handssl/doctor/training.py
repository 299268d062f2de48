"""Checks of an all-reduce over two processes, and of ten steps of a real pretraining."""

from __future__ import annotations

from handssl.doctor.check import Finding, Settings
from handssl.doctor.child import NoAnswerError, ask
from handssl.doctor.versions import torch_report


def check_ranks(settings: Settings) -> Finding:
    """Let two processes sum a number: over nccl if there are two GPUs, else over gloo."""
    several = len(torch_report(settings.torch_timeout_s)["gpus"]) > 1
    backend = "nccl" if several else "gloo"
    limit_s = settings.ranks_timeout_s
    try:
        # The processes time out first, and report which of them did not respond.
        found = ask(
            "handssl.doctor.short_training:summed", backend, limit_s, timeout_s=limit_s + 15
        )
    except NoAnswerError as error:
        return Finding("all-reduce", "failed", f"{backend}: {error}", _RANKS_FIX[backend])
    detail = f"two processes over {backend} sum a number, in {found['seconds']:.1f} s with start"
    return Finding("all-reduce", "ok", detail)


def check_ten_steps(settings: Settings) -> Finding:
    """Train ten steps on procedural hands in a temporary folder, and repeat the same ten."""
    rounds = 1 if settings.quick else 2
    found = ask("handssl.doctor.short_training:run", rounds, timeout_s=settings.steps_timeout_s)
    detail = f"loss {found['loss']:.4f}, {found['views_per_s']:,.0f} images/s on {found['device']}"
    if rounds == 1:
        return Finding("ten steps", "ok", detail)
    if len(set(found["digests"])) == 1:
        return Finding("ten steps", "ok", f"{detail}; a second time gives the same bits")
    if found["device"] != "cpu":
        detail += "; a second time gives other bits, as on a GPU without --deterministic"
        return Finding("ten steps", "ok", detail)
    detail += "; a second time gives other bits"
    fix = "set OMP_NUM_THREADS=1; if it persists, suspect the memory or the processor"
    return Finding("ten steps", "failed", detail, fix)


_RANKS_FIX = {
    "gloo": "let local connections through the firewall, put this host's name into /etc/hosts, "
    "or name the interface: export GLOO_SOCKET_IFNAME=lo",
    "nccl": "run again with NCCL_DEBUG=INFO; try NCCL_P2P_DISABLE=1, and name the interface with "
    "NCCL_SOCKET_IFNAME",
}
