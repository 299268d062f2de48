"""The tensor backend is one graph that never waits for the host."""

import pytest
import torch

from handssl.randomness import derive_key, fields
from handssl.transforms import TRANSFORMATIONS, AugmentConfig, ViewMaker, appearance, sampling

CROPS = torch.randint(0, 256, (4, 3, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
IDS = torch.tensor([5, 0, 77, 2**40])


def maker(composition, border="reflect"):
    return ViewMaker(AugmentConfig(border=border), composition, 3, 16, 1.75)


def make(maker, crops, ids):
    view = maker(crops, ids, epoch=2, view=1)
    return view.images, view.theta, view.matrix


@pytest.fixture(autouse=True)
def _keys_and_table_are_constants(monkeypatch):
    """Keys are hashes of names and the quantiles a table, both made on the host and kept."""
    constant = torch.compiler.assume_constant_result
    for module in (sampling, appearance):
        monkeypatch.setattr(module, "derive_key", constant(derive_key))
    kept = fields._table(CROPS.device)
    monkeypatch.setattr(fields, "_table", constant(lambda device: kept))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def check(composition, *, border="reflect", backend="eager"):
    compiled = torch.compile(make, fullgraph=True, backend=backend)
    images, theta, matrix = compiled(maker(composition, border), CROPS, IDS)
    expected, expected_theta, expected_matrix = make(maker(composition, border), CROPS, IDS)
    assert all(torch.equal(theta[name], expected_theta[name]) for name in composition)
    torch.testing.assert_close(matrix, expected_matrix, rtol=0, atol=1e-7)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_drawing_and_rendering_are_one_graph(name):
    check((name,))


def test_all_transformations_are_one_graph_after_the_compiler_split_them():
    check(TRANSFORMATIONS, border="disc", backend="aot_eager")


def test_a_second_batch_needs_no_second_graph():
    counted = []

    def counting(graph, inputs):
        counted.append(graph)
        return graph.forward

    compiled = torch.compile(make, fullgraph=True, backend=counting)
    for shift in (0, 9):
        compiled(maker(("rotate", "translate")), CROPS, IDS + shift)
    assert len(counted) == 1


WAITING = ("item", "__bool__", "__int__", "__float__", "__index__", "tolist", "cpu", "numpy")


@pytest.mark.parametrize("border", ["reflect", "disc", "black"])
def test_nothing_waits_for_the_host(monkeypatch, border):
    def refuse(self, *args, **kwargs):
        raise AssertionError("the host asked a tensor for its value")

    for name in WAITING:
        monkeypatch.setattr(torch.Tensor, name, refuse)
    images, _, _ = make(maker(TRANSFORMATIONS, border), CROPS, IDS)
    monkeypatch.undo()
    assert bool(torch.isfinite(images).all())
