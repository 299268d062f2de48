"""Transformations of one's own: what the library promises of its nine, and the refusals."""

import numpy as np
import pytest
import torch

import handssl
from handssl.errors import InputError
from handssl.objectives import relative_target
from handssl.randomness import derive_key, uniforms
from handssl.training import PretrainConfig
from handssl.transforms import AugmentConfig, ViewMaker, draw_theta, make_views
from handssl.transforms.custom_check import require_sound
from handssl.transforms.custom_loading import described
from handssl.transforms.opencv import OpenCvViewMaker
from handssl.transforms.sampling import intervals_of
from handssl.transforms.views import MEAN, STD
from tests.transforms.custom import Dim, Posterise, invert

HERE = "tests.transforms.custom"
PATHS = [f"{HERE}:Dim", f"{HERE}:Posterise", f"{HERE}:invert"]
NAMES = ("dim", "posterise", "invert")
CONFIG = AugmentConfig.parse({"custom": PATHS})
BUILT_IN = ("color_jitter", "cutout", "noise", "rotate", "translate")
IDS = torch.arange(4000)


def draw(composition, ids=IDS, config=CONFIG, **address):
    return draw_theta(config, composition, ids, **{"seed": 1, "epoch": 1, "view": 0, **address})


def crops_of(count=6, side_px=48):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, side_px, side_px), dtype=np.uint8))


def views(composition, crops, backend, config=CONFIG, first=0):
    maker = make_views(config, composition, seed=3, view_px=32, context=1.5, backend=backend)
    return maker(crops, torch.arange(first, first + len(crops)), epoch=1, view=0)


def test_a_configuration_keeps_what_draws_and_targets_need():
    (dim, *_) = CONFIG.custom
    assert dim.model_dump() == {
        "path": "tests.transforms.custom:Dim",
        "name": "dim",
        "ranges": ((0.0, 0.4), (0.0, 0.5)),
        "regressable": True,
        "probability": 1.0,
    }
    assert AugmentConfig.parse(CONFIG.model_dump(mode="json")) == CONFIG
    assert isinstance(Dim(), handssl.CustomTransformation)
    assert CONFIG.regressable[-1] == "dim"


def test_the_object_or_its_class_will_do_in_python():
    assert AugmentConfig(custom=(Dim, Posterise, invert)) == CONFIG


def test_what_is_kept_is_read_without_the_module():
    elsewhere = CONFIG.custom[0].model_dump() | {"path": "not_installed.here:Dim"}
    config = PretrainConfig.parse({"composition": ["dim"], "augmentation": {"custom": [elsewhere]}})
    with pytest.raises(InputError, match="can be imported here"):
        require_sound(config.augmentation.custom[0], view_px=8)


@pytest.mark.parametrize("name", NAMES)
def test_its_draw_belongs_to_its_name_and_sample_alone(name):
    alone = draw([name])[name]
    assert torch.equal(draw([*NAMES, *BUILT_IN])[name], alone)
    shuffled = torch.tensor([7, 3000, 5])
    assert torch.equal(draw([name], ids=shuffled)[name], alone[shuffled])
    for ranks in (2, 4):
        parts = [draw([name], ids=part)[name] for part in IDS[:100].chunk(ranks)]
        assert torch.equal(torch.cat(parts), alone[:100])
    for change in ({"seed": 2}, {"epoch": 2}, {"view": 1}):
        assert not torch.equal(draw([name], **change)[name], alone)


def test_switching_it_on_leaves_all_other_draws_alone():
    without = draw(BUILT_IN, config=AugmentConfig())
    together = draw([*NAMES, *BUILT_IN])
    assert all(torch.equal(together[name], without[name]) for name in BUILT_IN)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_fill_their_ranges_and_views_get_it_as_often_as_it_says(name):
    theta, own = draw([name])[name], CONFIG.custom_called(name)
    assert float(theta[:, 0].mean()) == pytest.approx(own.probability, abs=0.03)
    for column, interval in zip(theta[:, 1:].T, intervals_of(CONFIG, name), strict=True):
        unit = (column - interval.low) / interval.width
        assert 0.0 <= float(unit.min()) <= float(unit.max()) <= 1.0
        assert float(unit.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(unit.var()) == pytest.approx(1 / 12, abs=0.01)


def test_regressable_parameters_are_0_where_it_is_not_applied():
    half = CONFIG.custom[0].model_copy(update={"probability": 0.5})
    theta = draw(["dim"], config=AugmentConfig(custom=(half,)))["dim"]
    assert not theta[theta[:, 0] == 0, 1:].any()
    assert theta[theta[:, 0] == 1, 1:].all(1).float().mean() > 0.99


def test_a_view_is_the_naive_one():
    crops = crops_of()
    before = views(BUILT_IN, crops, "tensor").images
    after = views((*BUILT_IN, "dim", "posterise"), crops, "tensor").images
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    for row in range(len(crops)):
        image = before[row].numpy() * std + mean
        dim, posterise = (
            uniforms(torch.tensor([row]), 4, derive_key("theta", 3, 1, 0, name))[0].numpy()
            for name in ("dim", "posterise")
        )
        dark, grey = 0.4 * dim[1], 0.5 * dim[2]
        image = ((1 - grey) * image + grey * 0.5) * (1 - dark)
        if posterise[0] < 0.5:
            shift = posterise[1] / 4
            image = np.clip(np.floor((image + shift) * 4) / 4 - shift, 0, 1)
        found = after[row].numpy() * std + mean
        # A value on the edge between two levels may fall on either side.
        assert np.mean(np.abs(found - image) < 1e-5) > 0.999


def test_they_are_applied_in_the_order_of_the_configuration():
    turned = AugmentConfig(custom=CONFIG.custom[::-1])
    crops, names = crops_of(), ("dim", "invert")
    one, other = (views(names, crops, "tensor", config) for config in (CONFIG, turned))
    changed = (one.images != other.images).flatten(1).any(1)
    assert torch.equal(changed, one.theta["invert"][:, 0] > 0)
    assert changed.any()


@pytest.mark.parametrize("composition", [(n,) for n in NAMES] + [(*BUILT_IN, "dim", "invert")])
def test_both_backends_make_the_same_view(composition):
    # One colour an image: levels that are rounded stay on one side of an edge of `posterise`.
    crops = crops_of().float().mul(0).add(torch.rand(6, 3, 1, 1) * 255).to(torch.uint8)
    tensor, opencv = (views(composition, crops, backend) for backend in ("tensor", "opencv"))
    assert all(torch.equal(tensor.theta[name], opencv.theta[name]) for name in composition)
    levels = ((tensor.images - opencv.images) * torch.tensor(STD)[:, None, None]).abs() * 255.0
    assert float(levels.mean()) < 1.5
    assert float((levels.amax(1) <= 16.0).float().mean()) >= 0.999


@pytest.mark.parametrize("backend", ["tensor", "opencv"])
def test_an_image_does_not_depend_on_its_batch_and_off_leaves_it_alone(backend):
    crops = crops_of()
    whole = views(NAMES, crops, backend)
    parts = [views(NAMES, crops[i : i + 3], backend, first=i).images for i in (0, 3)]
    assert torch.allclose(torch.cat(parts), whole.images, atol=1e-6)
    off = whole.theta["invert"][:, 0] == 0
    without = views(NAMES[:2], crops, backend).images
    assert torch.equal(whole.images[off], without[off])
    assert off.any()
    assert not off.all()


def test_configurations_without_any_take_the_old_way():
    maker = make_views(AugmentConfig(), (), seed=1, view_px=8, context=1.5, backend="opencv")
    assert isinstance(maker, OpenCvViewMaker)
    assert AugmentConfig().custom == ()
    assert isinstance(ViewMaker(CONFIG, NAMES, 1, 8, 1.5), ViewMaker)


def test_the_target_is_the_difference_over_the_range():
    a, b = torch.tensor([[0.1, 0.0]]), torch.tensor([[0.3, 0.5]])
    found = relative_target("dim", a, b, ranges=CONFIG.custom[0].intervals)
    assert torch.allclose(found, torch.tensor([[0.5, 1.0]]))
    with pytest.raises(InputError, match="'dim' has no parameters to regress"):
        relative_target("dim", a, b)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no colon", r"expected package\.module:attribute, got 'no colon'"),
        ("nowhere.at_all:It", "can be imported here and on every worker.*No module named"),
        (f"{HERE}:missing", "has no attribute 'missing'"),
        (f"{HERE}:NeedsArguments", "a class without arguments.*'strength'"),
        (f"{HERE}:Empty", "Empty without ranges, regressable, probability, apply"),
        (f"{HERE}:uncallable", "an apply to call"),
        (f"{HERE}:nameless", "name: expected up to 40 lower-case letters"),
        (f"{HERE}:taken", "name: expected a name that is not taken.*got 'blur'"),
        (f"{HERE}:flip", "a name that is not taken.*got 'hflip'"),
        (f"{HERE}:reserved", "a name that is not taken.*got 'contrastive'"),
        (f"{HERE}:method", "a name that is not taken.*got 'keys'"),
        (f"{HERE}:often", "probability: should be less than or equal to 1"),
        (f"{HERE}:backwards", "ranges: expected .* low < high"),
        (f"{HERE}:endless", "ranges.0.1: should be a finite number"),
        (f"{HERE}:nothing_to_predict", "regressable: expected ranges of parameters"),
    ],
)
def test_what_is_no_transformation_is_refused_where_the_configuration_is_read(path, message):
    with pytest.raises(InputError, match=f"(?s)custom.0: .*{message}"):
        AugmentConfig.parse({"custom": [path]})


def test_two_of_one_name_and_an_object_that_nobody_can_import_are_refused():
    with pytest.raises(InputError, match="expected names that differ, got dim twice"):
        AugmentConfig.parse({"custom": [PATHS[0], PATHS[0]]})
    with pytest.raises(InputError, match="at the top of a module that workers can import"):
        AugmentConfig.parse({"custom": [Dim()]})


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("smaller", r"expected images \(4, 3, 8, 8\) torch.float32 on cpu, got \(4, 3, 4, 8\)"),
        ("double", "got .* torch.float64"),
        ("numbers", "got list; return images as given"),
        ("brighter", r"expected images in \[0, 1\], got \[0.5.*\]; clamp them"),
        ("undefined", "expected finite images"),
        ("random", "expected equal images for equal arguments"),
        ("whole_batch", "expected images that depend only on their row"),
        ("overwrites", "expected unchanged input images"),
        ("fails", "RuntimeError: no such colour"),
    ],
)
def test_a_transformation_that_breaks_its_protocol_is_refused_by_the_probe(attribute, message):
    with pytest.raises(InputError, match=message):
        require_sound(described(f"{HERE}:{attribute}"), view_px=8)


def test_good_ones_pass_the_probe_which_leaves_random_numbers_alone():
    state = torch.get_rng_state()
    for one in CONFIG.custom:
        require_sound(one, view_px=16)
    assert torch.equal(torch.get_rng_state(), state)


def test_one_that_says_something_else_by_now_is_refused():
    kept = CONFIG.custom[0].model_copy(update={"probability": 0.25})
    with pytest.raises(InputError, match="got different probability; rename the changed trans"):
        require_sound(kept, view_px=8)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"composition": ["dimm"]}, "composition.0: unknown name 'dimm'; did you mean 'dim'"),
        ({"composition": ["rotate"], "augmentation": {}, "relative_on": ["dim"]}, "unknown name"),
        (
            {"composition": ["posterise"], "objective": "relative"},
            "translate, rotate, scale, color_jitter, dim in the composition",
        ),
        (
            {"composition": ["rotate", "posterise"], "relative_on": ["posterise"]},
            "posterise has no parameters to predict",
        ),
        ({"composition": ["dim", "dim"]}, "named twice"),
    ],
)
def test_compositions_are_checked_against_the_names_listed(values, message):
    with pytest.raises(InputError, match=message):
        PretrainConfig.parse({"augmentation": {"custom": PATHS}, **values})
