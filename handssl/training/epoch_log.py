"""Log of the steps of an epoch: means over ranks, and detection of non-finite values.

Nothing is read from the device before the epoch ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.distributed import all_ranks, rank, sum_over_ranks, world_size
from handssl.errors import DivergedError
from handssl.objectives import Losses

_ADVICE = "a smaller optimizer.lr_base or a longer warm-up may help"


class EpochLog:
    """Losses and gradient norms of the steps of one epoch.

    Args:
        network: Module whose gradients are logged.
        epoch: Epoch, counted from 1.
    """

    def __init__(self, network: nn.Module, epoch: int) -> None:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._names, self._parameters = zip(*named, strict=True)
        self._epoch = epoch
        self._losses: list[torch.Tensor] = []
        self._norms: list[torch.Tensor] = []
        self._last = Losses(torch.zeros(()))

    def add(self, losses: Losses) -> None:
        """Log a step, after its backward pass."""
        self._last = losses
        values = [losses.total, *losses.terms.values()]
        self._losses.append(torch.stack([value.detach() for value in values]))
        self._norms.append(gradient_norms(self._parameters))

    def __len__(self) -> int:
        return len(self._losses)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the log of all ranks so far; every rank must call this."""
        return {
            "losses": all_ranks(torch.stack(self._losses)).cpu(),
            "norms": torch.stack(self._norms).cpu(),
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Resume from `state`; with a different number of ranks, from the mean over ranks."""
        losses, device = state["losses"], self._parameters[0].device
        of_rank = losses[rank()] if len(losses) == world_size() else losses.mean(0)
        self._losses = list(of_rank.to(device))
        self._norms = list(state["norms"].to(device))

    def metrics(self) -> dict[str, float]:
        """Return means over the epoch: train/loss, train/loss/<term>, train/gradient_norm.

        train/sigma/<term> is the value of the last step.

        Raises:
            DivergedError: A loss or a gradient is not finite; the message names rank, epoch, step
                and tensor.
        """
        losses, norms = torch.stack(self._losses), torch.stack(self._norms)
        self._require_finite(all_ranks(losses).cpu(), norms.cpu())
        self._require_finite_weights()
        means = (sum_over_ranks(losses) / world_size()).mean(0).tolist()
        metrics = {"train/loss": means[0]}
        metrics |= {f"train/loss/{n}": m for n, m in zip(self._last.terms, means[1:], strict=True)}
        metrics["train/gradient_norm"] = float(norms.norm(dim=1).mean())
        for name, sigma in self._last.sigmas.items():
            metrics[f"train/sigma/{name}"] = float(sigma)
        return metrics

    def _require_finite(self, losses: torch.Tensor, norms: torch.Tensor) -> None:
        """Check losses (ranks, steps, 1 + terms) and norms (steps, parameters)."""
        broken = ~(torch.isfinite(losses).all(2).all(0) & torch.isfinite(norms).all(1))
        if not bool(broken.any()):
            return
        step = int(torch.nonzero(broken)[0])
        what = self._bad_loss(losses[:, step]) or self._bad_gradient(norms[step])
        raise DivergedError(f"{what} in epoch {self._epoch}, step {step + 1}; {_ADVICE}")

    @torch.no_grad()
    def _require_finite_weights(self) -> None:
        norms = torch.stack(torch._foreach_norm(self._parameters)).tolist()
        bad = [
            (n, value)
            for n, value in zip(self._names, norms, strict=True)
            if not math.isfinite(value)
        ]
        if bad:
            name, value = bad[0]
            others = f" and of {len(bad) - 1} more tensors" if len(bad) > 1 else ""
            raise DivergedError(
                f"the norm of the weight {name}{others} became {value} after epoch {self._epoch}; "
                f"{_ADVICE}"
            )

    def _bad_loss(self, losses: torch.Tensor) -> str:
        """Describe the first non-finite loss of a step, (ranks, 1 + terms); empty if none is."""
        bad = ~torch.isfinite(losses)
        if not bool(bad.any()):
            return ""
        first = int(torch.nonzero(bad.any(1))[0])
        names = ["", *(f" of {name}" for name in self._last.terms)]
        # The total is the first column; a term is more informative.
        worst = int(torch.nonzero(bad[first])[-1])
        value = float(losses[first, worst])
        return f"the loss{names[worst]} became {value}{_on_ranks(bad.any(1))}"

    def _bad_gradient(self, norms: torch.Tensor) -> str:
        bad = torch.nonzero(~torch.isfinite(norms))[:, 0].tolist()
        others = f" and of {len(bad) - 1} more tensors" if len(bad) > 1 else ""
        # Gradients are averaged over ranks, so they are equal on all ranks.
        where = "" if world_size() == 1 else ", the average over ranks,"
        value = float(norms[bad[0]])
        return f"the gradient of {self._names[bad[0]]}{others}{where} became {value}"


def _on_ranks(bad: torch.Tensor) -> str:
    """Name the affected ranks; BatchNorm and negatives spread a bad value to all of them."""
    if len(bad) == 1:
        return ""
    if bool(bad.all()):
        return " on every rank"
    return " on rank " + ", ".join(str(rank) for rank in torch.nonzero(bad)[:, 0].tolist())


@torch.no_grad()
def gradient_norms(parameters: Sequence[nn.Parameter]) -> torch.Tensor:
    """Return the Euclidean norm of every parameter's gradient, (P,); 0 without a gradient."""
    known = [p.grad for p in parameters if p.grad is not None]
    norms = iter(torch._foreach_norm(known)) if known else iter(())
    zero = parameters[0].new_zeros(())
    return torch.stack([zero if p.grad is None else next(norms) for p in parameters])
