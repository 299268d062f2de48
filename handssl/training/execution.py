"""Execution settings of a run, which are not part of a trial's identity."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import torch
from pydantic import Field

from handssl.config import Config
from handssl.errors import InputError

Precision = Literal["float32", "bf16", "float64"]
_ROOM = 0.6  # share of a trial's part of the device memory that resident crops may take


class Execution(Config):
    """Execution settings; all give the same trial, up to rounding, which training amplifies.

    Attributes:
        device: Torch device; `auto` selects a GPU if there is one.
        precision: Precision of the encoder; `auto` is bf16 autocast on a GPU that supports it, else
            float32. Heads, losses, BatchNorm statistics and weights are float32. float64 is for
            tests.
        compile: Whether to compile the encoder with torch.compile, once for all trials of a
            process; takes minutes at the start and pays off on a GPU.
        deterministic: Whether torch may only use deterministic kernels. On a CPU they always are;
            on a GPU it costs speed.
        crops: Location of packed crops: mapped on the `host`, or copied to the `device`; `auto`
            copies to a GPU if they take less than 60 % of the trial's part of its memory and leave
            space for a step.
        threads: Number of CPU threads of torch in each process, on which sums in float32 depend;
            None: the CPUs granted to a trial of a study or a worker, else torch's own number.
        sharing: Number of trials that share the device; each may use an equal part of the memory.
        keep: Number of newest checkpoints to keep.
        keep_bytes: Maximum total size of checkpoints in bytes; the newest one is always kept.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bf16", "float64"] = "auto"
    compile: bool = False
    deterministic: bool = False
    crops: Literal["auto", "host", "device"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    sharing: Annotated[int, Field(ge=1)] = 1
    keep: Annotated[int, Field(ge=1)] = 2
    keep_bytes: Annotated[int, Field(ge=1)] | None = None

    def torch_device(self) -> torch.device:
        """Return the device.

        Raises:
            InputError: The device is not available.

        Example:
            >>> Execution(device="cpu").torch_device()
            device(type='cpu')
        """
        name = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else None
        try:
            device = torch.device(name or self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"device {self.device!r}: expected auto, cpu or a GPU of this machine, which "
                f"cannot be used ({reason})"
            ) from None
        return device

    def settle(self) -> None:
        """Apply the process-wide settings of torch."""
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.deterministic:
            # cuBLAS is deterministic only with a fixed workspace; it reads this at startup.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
            torch.use_deterministic_algorithms(True)

    def precision_on(self, device: torch.device) -> Precision:
        """Return the precision on a device, with `auto` resolved.

        Example:
            >>> Execution().precision_on(torch.device("cpu"))
            'float32'
        """
        if self.precision != "auto":
            return self.precision
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return "bf16" if fast else "float32"

    def keeps_on(self, device: torch.device, size: int, beside: int = 0) -> bool:
        """Return whether crops are copied to the device.

        Args:
            device: Device on which views are made.
            size: Size of the crops in bytes.
            beside: Memory of a step in bytes.
        """
        if self.crops != "auto" or device.type != "cuda":
            return self.crops == "device" and device.type != "cpu"
        free, total = torch.cuda.mem_get_info(device)
        share = min(free, total / self.sharing)  # other trials may not have allocated theirs yet
        return size < min(_ROOM * share, share - beside)
