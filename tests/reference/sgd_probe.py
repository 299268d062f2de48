"""The sgd probe with torch's own autograd and Adam, one model at a time."""

import math

import torch
from torch import nn

BOX_PX = 128.0


def train(x, y, valid, order, *, lr, weight_decay, epochs, batch):
    """Return a function from features to predictions (N, 63).

    `x` (N, D) and `y` (N, 63) are float64, `valid` bool (N, 21); `order(epoch)` gives sample order.
    """
    mean, scale = x.mean(0), x.std(0, correction=0)
    middle, spread = torch.zeros(63, dtype=x.dtype), torch.ones(63, dtype=x.dtype)
    for column in range(63):
        joint = column // 2 if column < 42 else column - 42
        known = y[valid[:, joint], column]
        middle[column], spread[column] = known.mean(), known.std(correction=0)
        if spread[column] < 1e-12:
            spread[column] = 1.0
    model = nn.Linear(x.shape[1], 63, dtype=x.dtype)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    groups = [
        {"params": [model.weight], "weight_decay": weight_decay},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.Adam(groups, lr=lr)
    steps, total = 0, epochs * math.ceil(len(x) / batch)
    for epoch in range(1, epochs + 1):
        rows_of_epoch = order(epoch)
        for start in range(0, len(x), batch):
            rows = rows_of_epoch[start : start + batch]
            for group in optimizer.param_groups:
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * steps / total))
            predicted = model((x[rows] - mean) / scale) * spread + middle
            loss = loss_of(predicted, y[rows], valid[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
    return lambda new: (model((new - mean) / scale) * spread + middle).detach()


def loss_of(predicted, target, valid):
    """Mean |uv| in pixels and five times mean |z| over joints with a label, in loops."""
    uv, z, count = 0.0, 0.0, 0
    for n in range(len(target)):
        for joint in range(21):
            if valid[n, joint]:
                for axis in range(2):
                    column = 2 * joint + axis
                    uv = uv + BOX_PX * (predicted[n, column] - target[n, column]).abs() / 2
                z = z + (predicted[n, 42 + joint] - target[n, 42 + joint]).abs()
                count += 1
    return (uv + 5.0 * z) / count
