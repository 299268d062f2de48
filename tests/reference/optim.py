"""Optimizers in plain Python floats, one number at a time, from their formulas."""

from __future__ import annotations

import math

Vector = list[float]


def norm(values: Vector) -> float:
    return math.sqrt(sum(value * value for value in values))


class Adam:
    """The moments of one tensor."""

    def __init__(self, size: int, betas=(0.9, 0.999), eps=1e-8):
        self.m, self.v, self.t = [0.0] * size, [0.0] * size, 0
        self.betas, self.eps = betas, eps

    def __call__(self, g: Vector) -> Vector:
        self.t += 1
        b1, b2 = self.betas
        out = []
        for i, value in enumerate(g):
            self.m[i] = b1 * self.m[i] + (1 - b1) * value
            self.v[i] = b2 * self.v[i] + (1 - b2) * value * value
            m_hat = self.m[i] / (1 - b1**self.t)
            v_hat = self.v[i] / (1 - b2**self.t)
            out.append(m_hat / (math.sqrt(v_hat) + self.eps))
        return out


class AdamLarc:
    """LARC's clipped gradient in front of Adam."""

    def __init__(self, size: int, eta=0.02, **adam):
        self.adam, self.eta = Adam(size, **adam), eta

    def __call__(self, w: Vector, g: Vector, lr: float, wd: float, adapt: bool) -> Vector:
        if not adapt:
            scaled = [gi + wd * wi for wi, gi in zip(w, g, strict=True)]
        elif norm(w) == 0 or norm(g) == 0:
            scaled = list(g)
        else:
            ratio = self.eta * norm(w) / (norm(g) + wd * norm(w) + 1e-8)
            factor = min(ratio / lr, 1.0)
            scaled = [(gi + wd * wi) * factor for wi, gi in zip(w, g, strict=True)]
        return [wi - lr * ui for wi, ui in zip(w, self.adam(scaled), strict=True)]


class PlainAdam:
    """Adam with coupled decay."""

    def __init__(self, size: int, **adam):
        self.adam = Adam(size, **adam)

    def __call__(self, w: Vector, g: Vector, lr: float, wd: float, adapt: bool) -> Vector:
        u = self.adam([gi + wd * wi for wi, gi in zip(w, g, strict=True)])
        return [wi - lr * ui for wi, ui in zip(w, u, strict=True)]


class Lars:
    """SGD with momentum and trust ratios; the rate goes into the buffer."""

    def __init__(self, size: int, eta=0.001, momentum=0.9, preset="paper"):
        self.buffer, self.eta, self.momentum, self.preset = [0.0] * size, eta, momentum, preset

    def __call__(self, w: Vector, g: Vector, lr: float, wd: float, adapt: bool) -> Vector:
        decayed = [gi + wd * wi for wi, gi in zip(w, g, strict=True)]
        measured = g if self.preset == "paper" else decayed
        ratio = 1.0
        if adapt and norm(w) > 0 and norm(measured) > 0:
            below = norm(measured) + (wd * norm(w) if self.preset == "paper" else 0.0)
            ratio = self.eta * norm(w) / below
        for i, value in enumerate(decayed):
            self.buffer[i] = self.momentum * self.buffer[i] + lr * ratio * value
        return [wi - vi for wi, vi in zip(w, self.buffer, strict=True)]


class Lamb:
    """Adam's update plus decay, scaled by |w| / |update|."""

    def __init__(self, size: int, betas=(0.9, 0.999), eps=1e-6):
        self.adam = Adam(size, betas=betas, eps=eps)

    def __call__(self, w: Vector, g: Vector, lr: float, wd: float, adapt: bool) -> Vector:
        u = [ui + wd * wi for wi, ui in zip(w, self.adam(g), strict=True)]
        ratio = norm(w) / norm(u) if adapt and norm(w) > 0 and norm(u) > 0 else 1.0
        return [wi - lr * ratio * ui for wi, ui in zip(w, u, strict=True)]


def wsd(step: int, warmup: int, total: int, share: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    start = max(warmup, total - max(1, round(share * total)))
    if step < start:
        return 1.0
    return 1.0 - math.sqrt((step - start) / (total - start))
