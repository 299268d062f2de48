"""What one process and several find when they train, for `test_ranks.py` to compare.

Several of them are started by `tests.ranks`.
"""

from __future__ import annotations

import torch

from handssl.data.splits import StudyData
from handssl.distributed import world_size
from handssl.errors import DivergedError, InputError, InterruptedStudyError
from handssl.training import Execution, PretrainConfig, Pretraining

SMALL = {
    "epochs": 5,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
ARMS = {
    "contrastive": {"composition": ["noise", "rotate"]},
    "relative": {"objective": "relative", "composition": ["color_jitter", "rotate", "translate"]},
    "mixed": {
        "objective": "mixed",
        "composition": ["blur", "rotate"],
        "relative_on": ["rotate"],
        "equal_views": False,
    },
    "supervised": {"objective": "supervised", "composition": ["rotate"]},
    "odd batch": {"composition": ["rotate"], "global_batch": 15},
    "accumulated": {"composition": ["rotate"], "accumulation": 2},
}


def config(arm, **changes):
    return PretrainConfig.parse({**SMALL, **ARMS[arm], **changes})


def curves(arm, data, precision="float64", **changes):
    """Train from the beginning; return every epoch's numbers and the weights at the end."""
    run = Pretraining(config(arm, **changes), data, Execution(device="cpu", precision=precision))
    # Four steps an epoch: twenty for one arm, which is what exactness is asked over.
    last = 5 if arm == "contrastive" else 2
    rows = [numbers(run.train_epoch(epoch)) for epoch in range(1, last + 1)]
    return {"epochs": rows, "model": dict(run.network.state_dict())}


def numbers(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith("_s")}


def resumed(arm, data):
    """The same in float32, dropped after each epoch and taken up again from its state."""
    rows, state = [], None
    for epoch in range(1, 3):
        run = Pretraining(config(arm), data)
        if state is not None:
            run.load_state(state)
        rows.append(numbers(run.train_epoch(epoch)))
        state = run.state()
    return {"epochs": rows, "model": dict(state["model"])}


def stopped(arm, data, rank):
    """The first epoch in float32, stopped after its fourth step at the word of the last rank."""
    first = Pretraining(config(arm, global_batch=8), data)
    try:
        first.train_epoch(1, must_stop=lambda: rank == world_size() - 1)
    except InterruptedStudyError:
        again = Pretraining(config(arm, global_batch=8), data)
        again.load_state(first.state())
        return {"stopped": True, "epoch": numbers(again.train_epoch(1))}
    return {"stopped": False}


def diverged(data, rank):
    """The message of every rank when the data of one of them are not finite."""
    run = Pretraining(config("contrastive"), data)
    feed = run.feed

    def poisoned(indices, epoch):
        views, target = feed(indices, epoch)
        if rank == 1:
            views[0].images[0, 0, 0, 0] = float("nan")
        return views, target

    poisoned.seconds = 0.0
    run.feed = poisoned
    try:
        run.train_epoch(1)
    except DivergedError as error:
        return str(error)
    return "finite"


def refused(data):
    try:
        Pretraining(config("contrastive", global_batch=2, accumulation=1, epochs=2), data)
    except InputError as error:
        return str(error)
    return "accepted"


def arms_of(world):
    """Three workers are for the unequal shares: more than two cores are asked for."""
    return ("relative", "odd batch") if world == 3 else tuple(ARMS)


def solve(world, rank, folder):
    torch.set_num_threads(1)
    data = StudyData(folder / "store")
    found = {arm: curves(arm, data) for arm in arms_of(world)}
    if world < 3:
        found["local statistics"] = curves("contrastive", data, batch_norm="local")
    found["whole"] = curves("odd batch", data, precision="auto")
    found["resumed"] = resumed("odd batch", data)
    found["stopped"] = stopped("contrastive", data, rank)
    whole = Pretraining(config("contrastive", global_batch=8), data)
    found["not stopped"] = numbers(whole.train_epoch(1))
    found["diverged"] = diverged(data, rank)
    found["refused"] = refused(data)
    return found
