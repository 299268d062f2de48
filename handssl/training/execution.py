"""How a run is computed, apart from what it computes: no part of a trial's identity."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import torch
from pydantic import Field

from handssl.config import Config
from handssl.errors import InputError

Precision = Literal["float32", "bf16", "float64"]
_ROOM = 0.6  # of a trial's part of a device's memory that resident crops may take


class Execution(Config):
    """Speed against nothing: every setting gives the same trial, up to rounding.

    Attributes:
        device: `auto` takes the GPU where there is one.
        precision: Of the encoder; `auto` is bf16 autocast on a GPU that has it, else float32.
            Heads, losses, BatchNorm statistics and weights stay float32. float64 is for checks.
        compile: Compile the encoder with torch.compile, once for all trials of a process; minutes
            at the start, worth it on a GPU.
        deterministic: Let torch use kernels that repeat to the bit, and none that cannot. On a CPU
            it always does; on a GPU it costs speed.
        crops: Where packed crops live: mapped on the `host`, or copied to the `device`; `auto`
            copies to a GPU where they take less than 60 % of the trial's part of it, and leave room
            for a step.
        sharing: Trials that share the device; each may take its part of the memory.
        keep: Newest checkpoints that stay.
        keep_bytes: Older checkpoints go beyond this sum; the newest one always stays.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bf16", "float64"] = "auto"
    compile: bool = False
    deterministic: bool = False
    crops: Literal["auto", "host", "device"] = "auto"
    sharing: Annotated[int, Field(ge=1)] = 1
    keep: Annotated[int, Field(ge=1)] = 2
    keep_bytes: Annotated[int, Field(ge=1)] | None = None

    def torch_device(self) -> torch.device:
        """Return the device.

        Raises:
            InputError: There is no such device here.

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
        """Set what torch knows for the whole process."""
        if self.deterministic:
            # cuBLAS repeats with a workspace of fixed size alone; it reads this when it starts.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
            torch.use_deterministic_algorithms(True)

    def precision_on(self, device: torch.device) -> Precision:
        """Return what `auto` means on a device.

        Example:
            >>> Execution().precision_on(torch.device("cpu"))
            'float32'
        """
        if self.precision != "auto":
            return self.precision
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return "bf16" if fast else "float32"

    def keeps_on(self, device: torch.device, size: int, beside: int = 0) -> bool:
        """Say whether crops are copied to the device.

        Args:
            device: Where the views are made.
            size: Of the crops, in bytes.
            beside: What a step takes, in bytes.
        """
        if self.crops != "auto" or device.type != "cuda":
            return self.crops == "device" and device.type != "cpu"
        free, total = torch.cuda.mem_get_info(device)
        own = min(free, total / self.sharing)  # neighbours may not have taken theirs yet
        return size < min(_ROOM * own, own - beside)
