"""What is computed by one process and by several, in float64, for the tests to compare.

Several of them are started by `tests.ranks`.
"""

from __future__ import annotations

import torch
from torch import nn

from handssl.distributed import GlobalBatchNorm1d, gather, sum_over_ranks, use_global_batch_norm
from handssl.errors import InputError
from handssl.models import initialise
from handssl.objectives import Encoded, PoseTarget, nt_xent
from tests.objectives.cases import CASES, DIM, build, encode, labels

ROWS = 12
WORLDS = (2, 4)
PARTS = {
    (1, "equal"): [12],
    (1, "unequal"): [12],
    (2, "equal"): [6, 6],
    (2, "unequal"): [2, 10],
    (4, "equal"): [3, 3, 3, 3],
    (4, "unequal"): [1, 2, 4, 5],
}


def own_part(world, rank, parts):
    counts = PARTS[world, parts]
    return slice(sum(counts[:rank]), sum(counts[: rank + 1]))


def gradients(case, part, world):
    """Losses and gradients of a small convolutional encoder and an objective, averaged over ranks.

    The data differ from sample to sample, and so from rank to rank.
    """
    encoder = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, DIM),
    )
    model = use_global_batch_norm(nn.ModuleDict({"encoder": encoder, "objective": build(case)}))
    initialise(encoder, seed=4)
    objective = model.double()["objective"]
    generator = torch.Generator().manual_seed(9)
    shape = (len(objective.draws), ROWS, 3, 6, 6)
    images = torch.randn(shape, dtype=torch.float64, generator=generator)
    images = (images * torch.linspace(0.2, 3.0, ROWS)[:, None, None, None])[:, part]
    h = model["encoder"](images.flatten(0, 1)).chunk(len(objective.draws))
    blank = torch.zeros(len(objective.draws), ROWS, DIM, dtype=torch.float64)
    whole = encode(case, objective, blank, rows=ROWS)
    views = [
        Encoded(own, {k: t[part] for k, t in view.theta.items()}, view.matrix[part])
        for own, view in zip(h, whole, strict=True)
    ]
    target = labels(ROWS)
    losses = objective(views, PoseTarget(target.uv[part], target.z[part], target.valid[part]))
    losses.total.backward()
    found = {"loss": losses.total.detach(), **{f"term {k}": v for k, v in losses.terms.items()}}
    found |= {f"gradient {k}": p.grad for k, p in model.named_parameters()}
    found = {name: sum_over_ranks(value) / world for name, value in found.items()}
    return found | {f"buffer {k}": v for k, v in model.named_buffers() if "running" in k}


def far_from_zero(part):
    """BatchNorm of float32 values whose mean is a thousand times their deviation."""
    generator = torch.Generator().manual_seed(1)
    x = 1000.0 + torch.randn(ROWS, 5, generator=generator)
    return GlobalBatchNorm1d(5)(x[part]).detach()


def cumulative(part):
    """Running statistics of BatchNorm without momentum after three batches, and its output then."""
    norm = GlobalBatchNorm1d(3, momentum=None, affine=False).double()
    generator = torch.Generator().manual_seed(2)
    for x in torch.randn(3, ROWS, 3, dtype=torch.float64, generator=generator):
        norm(x[part])
    norm.eval()
    return torch.stack((norm.running_mean, norm.running_var, norm(torch.ones(1, 3).double())[0]))


def gathered(rank, part):
    """Rows of all ranks, and the gradient of losses that differ from rank to rank."""
    x = torch.arange(2.0 * ROWS, dtype=torch.float64).reshape(ROWS, 2)[part].requires_grad_()
    rows = gather(x)
    ((rank + 1) * (rows**2).sum()).backward()
    return rows.detach(), x.grad / x.detach().clamp(min=1)


def refused_pair(rank):
    """The message where all ranks together hold a single pair."""
    z = torch.ones(1 if rank == 0 else 0, 4)
    try:
        nt_xent(z, z, temperature=0.5)
    except InputError as error:
        return str(error)
    return "accepted"


def solve(world, rank, folder=None):
    found = {"pair": refused_pair(rank)}
    for parts in ("equal", "unequal"):
        part = own_part(world, rank, parts)
        found |= {f"{case}; {parts}": gradients(case, part, world) for case in CASES}
        found[f"gathered; {parts}"] = gathered(rank, part)
        found[f"far; {parts}"] = far_from_zero(part)
        found[f"cumulative; {parts}"] = cumulative(part)
    return found
