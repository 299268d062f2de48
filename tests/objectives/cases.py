"""Every objective and option, with small inputs and the naive loss of each."""

from __future__ import annotations

import math

import torch

from handssl.models import HeadConfig, initialise
from handssl.objectives import (
    Encoded,
    EquivariantConfig,
    LogSumWeights,
    PoseTarget,
    RelativeConfig,
    build_objective,
)
from handssl.objectives.equivariant import RADIUS_BOXES
from handssl.transforms import (
    AugmentConfig,
    draw_theta,
    move_points,
    regressed_intervals,
    view_matrix,
)
from tests.reference import objectives as naive

DIM, ROWS = 6, 5
HEADS = HeadConfig(projection_hidden=7, projection_out=8, relative_hidden=7)
PERIODS = {
    "rotate": [2 * math.pi],
    "translate": [None, None],
    "color_jitter": [1.0, None, None, None],
}
ALL = ("blur", "color_jitter", "noise", "rotate", "translate")


def _relative(**options):
    return {"name": "relative", "composition": ALL, "relative": RelativeConfig(**options)}


def _mixed(**options):
    return {"name": "mixed", "composition": ALL, "relative_on": ("rotate", "translate"), **options}


CASES = {
    "contrastive": {"name": "contrastive", "composition": ("blur", "rotate")},
    "contrastive on nothing": {"name": "contrastive", "composition": ()},
    "relative": _relative(),
    "relative, l2": _relative(norm="l2"),
    "relative, one order": _relative(order="one"),
    "relative, fixed weights": _relative(weighting="fixed"),
    "relative, weights from the loss": _relative(weighting="learned_from_loss"),
    "relative, sum of logarithms": _relative(weighting="log_sum"),
    "mixed": _mixed(),
    "mixed, split": _mixed(mixed="split"),
    "mixed, fixed contrastive weight": _mixed(contrastive_weight="fixed"),
    "mixed, sum of logarithms": _mixed(
        relative=RelativeConfig(weighting="log_sum"), contrastive_weight="log_sum"
    ),
    "mixed, all options": _mixed(relative=RelativeConfig(norm="l2", order="one")),
    "equivariant": {"name": "equivariant", "composition": ALL},
    "equivariant, published": {
        "name": "equivariant",
        "composition": ALL,
        "equivariant": EquivariantConfig(inversion="published"),
    },
    "equivariant under scale": {
        "name": "equivariant",
        "composition": ("rotate", "scale", "translate"),
    },
    "equivariant to rotation": {"name": "equivariant", "composition": ("noise", "rotate")},
    "equivariant to translation": {"name": "equivariant", "composition": ("translate",)},
    "supervised": {"name": "supervised", "composition": ("rotate", "translate")},
}


def build(case):
    """The objective of a case in float64, weights drawn; log sigma away from 0."""
    options = {"dim": DIM, "heads": HEADS, "augmentation": AugmentConfig(), "temperature": 0.5}
    objective = build_objective(**options, **CASES[case])
    initialise(objective, seed=3)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(objective.named_parameters()):
            if "log_sigma" in name:
                parameter.fill_(0.1 * number - 0.5)
    return objective.double()


def encode(case, objective, h=None, rows=ROWS, seed=0):
    """Views as the loop would make them, in float64, with random features."""
    composition, generator = CASES[case]["composition"], torch.Generator().manual_seed(seed)
    if h is None:
        shape = (len(objective.draws), rows, DIM)
        h = torch.randn(shape, dtype=torch.float64, generator=generator)
    views = []
    for features, draw in zip(h, objective.draws, strict=True):
        drawn = draw_theta(
            AugmentConfig(), composition, torch.arange(rows) + 70, seed=1, epoch=1, view=draw
        )
        theta = {name: value.double() for name, value in drawn.items()}
        views.append(Encoded(features, theta, view_matrix(theta, features)))
    return views


def labels(rows=ROWS):
    """Labels of which some are missing, each sample another number of them."""
    generator = torch.Generator().manual_seed(5)
    uv = torch.randn(rows, 21, 2, dtype=torch.float64, generator=generator)
    z = torch.randn(rows, 21, dtype=torch.float64, generator=generator)
    valid = torch.arange(21)[None] >= torch.arange(rows)[:, None] * 3
    return PoseTarget(uv, z.masked_fill(~valid, torch.nan), valid)


def naive_loss(case, objective, views, target):
    """The loss of a case by plain loops over numbers."""
    return _NAIVE[CASES[case]["name"]](case, objective, views, target)


def _rows(view):
    return view.h.tolist()


def _weights(module):
    first, norm, _, last = module
    tensors = (first.weight, first.bias, norm.weight, norm.bias, last.weight)
    return [tensor.tolist() for tensor in tensors]


def _projections(objective, views):
    rows = naive.head(_rows(views[0]) + _rows(views[1]), _weights(objective.projection))
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def _contrastive(case, objective, views, target):
    return naive.nt_xent(*_projections(objective, views), 0.5)


def _parameters(view, name, count):
    if name not in view.theta:
        return [[0.0] * count] * ROWS
    return view.theta[name][:, 1:].tolist()


def _equivariant(case, objective, views, target):
    published = objective.inversion == "published"
    first, second = _projections(objective, views)
    both = first + second if published else naive.with_radius(first + second, RADIUS_BOXES)
    undone = []
    for rows, view in zip((both[:ROWS], both[ROWS:]), views, strict=True):
        turn = [row[0] for row in _parameters(view, "rotate", 1)]
        scale = [row[0] for row in _parameters(view, "scale", 1)]
        shift = _parameters(view, "translate", 2)
        if published:
            undone.append(list(map(naive.undo_published, rows, turn, shift)))
        else:
            undone.append(list(map(naive.undo, rows, turn, scale, shift)))
    return naive.nt_xent(*undone, 0.5)


def _relative_terms(case, objective, first, second):
    options = CASES[case].get("relative", RelativeConfig())
    terms = {}
    for name, module in objective.relative.heads.items():
        ab = [a + b for a, b in zip(_rows(first), _rows(second), strict=True)]
        ba = [b + a for a, b in zip(_rows(first), _rows(second), strict=True)]
        both = options.order == "both"
        predicted = naive.head(ab + ba if both else ab, _weights(module.layers))
        errors = naive.pair_errors(
            first.theta[name][:, 1:].tolist(),
            second.theta[name][:, 1:].tolist(),
            predicted[:ROWS],
            predicted[ROWS:] if both else None,
            [interval.width for interval in regressed_intervals(name)],
            PERIODS[name],
        )
        terms[name] = naive.mean_error(errors, options.norm)
    return terms


def _weighted(weights, terms):
    if isinstance(weights, LogSumWeights):
        return sum(math.log(loss) for loss in terms.values())
    if getattr(weights, "from_loss", False):  # sigma is the first loss itself
        return sum(1.0 + math.log(loss) for loss in terms.values())
    logs = {name: float(value) for name, value in getattr(weights, "log_sigma", {}).items()}
    return naive.weighted_sum(terms, logs or dict.fromkeys(terms, 0.0))


def _relative_loss(case, objective, views, target):
    return _weighted(objective.weights, _relative_terms(case, objective, *views))


def _mixed_loss(case, objective, views, target):
    relative = _relative_terms(case, objective, *views[-2:])
    contrastive = {"contrastive": _contrastive(case, objective, views[:2], target)}
    own = _weighted(objective.contrastive_weights, contrastive)
    return _weighted(objective.weights, relative) + own


def _supervised(case, objective, views, target):
    uv = move_points(target.uv, views[0].matrix).tolist()
    weight, bias = objective.pose.weight.tolist(), objective.pose.bias.tolist()
    total, count = 0.0, 0
    for n, row in enumerate(_rows(views[0])):
        out = [naive.dot(unit, row) + b for unit, b in zip(weight, bias, strict=True)]
        for j in range(21):
            if target.valid[n, j]:
                truth = [*uv[n][j], float(target.z[n, j])]
                total += sum(abs(out[3 * j + k] - truth[k]) for k in range(3))
                count += 3
    return total / count


_NAIVE = {
    "contrastive": _contrastive,
    "relative": _relative_loss,
    "mixed": _mixed_loss,
    "equivariant": _equivariant,
    "supervised": _supervised,
}
