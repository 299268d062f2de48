"""The configuration of optimizers and schedules."""

import json

import pytest

from handssl.errors import InputError
from handssl.models import ResNet18, mlp
from handssl.objectives import LearnedWeights
from handssl.optim import OptimizerConfig, decay_groups, lr_factor, wsd_decay_start, wsd_factor
from tests.reference import optim as plain


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "adam", "momentum": 0.5},
            "'adam' does not read momentum, which is 0.5.*one of lars",
        ),
        ({"name": "lars", "eps": 1e-3}, "'lars' does not read eps.*one of adam, adam_larc, lamb"),
        ({"name": "lamb", "trust_coefficient": 0.1}, "'lamb' does not read trust_coefficient"),
        ({"name": "adam_larc", "preset": "paper"}, "does not read preset"),
        ({"decay_share": 0.2}, "schedule 'cosine' does not read decay_share.*one of wsd"),
        ({"name": "lard"}, "did you mean 'lars'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"betas": [0.9, 1.0]}, "less than 1"),
        ({"name": "lars", "trust_coefficient": 0.0}, "greater than 0"),
        ({"masks": "name"}, "valid: module, published"),
    ],
)
def test_a_mistake_is_reported_with_what_to_do(values, message):
    with pytest.raises(InputError, match=message):
        OptimizerConfig.parse(values)


def test_options_have_the_defaults_of_their_name():
    larc = OptimizerConfig(name="adam_larc").options()
    assert larc == {"betas": (0.9, 0.999), "eps": 1e-8, "trust_coefficient": 0.02}
    assert OptimizerConfig(name="lamb").options()["eps"] == 1e-6
    assert OptimizerConfig.parse({"betas": [0.5, 0.6]}).options()["betas"] == (0.5, 0.6)


def test_a_default_written_out_is_the_same_configuration():
    written = OptimizerConfig(name="lars", momentum=0.9, preset="paper", schedule="wsd")
    assert written == OptimizerConfig(name="lars", schedule="wsd")
    assert OptimizerConfig(schedule="wsd", decay_share=0.1) == OptimizerConfig(schedule="wsd")


def test_new_options_at_their_defaults_do_not_show_so_that_identities_stay():
    names = ["name", "lr_base", "weight_decay", "warmup_epochs"]
    assert list(OptimizerConfig().model_dump(mode="json")) == names


def test_a_configuration_comes_back_from_json():
    config = OptimizerConfig(name="lamb", betas=(0.8, 0.9), schedule="wsd", decay_share=0.2)
    assert OptimizerConfig.parse(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_the_name_of_an_optimizer_can_be_merged_over_another():
    assert OptimizerConfig().merged({"name": "lars"}) == OptimizerConfig(name="lars")


def test_wsd_equals_its_formula():
    for warmup, total, share in ((5, 100, 0.1), (0, 7, 0.5), (10, 12, 0.5), (3, 4, 0.01)):
        for step in range(total):
            found = wsd_factor(step, warmup_steps=warmup, total_steps=total, decay_share=share)
            assert found == pytest.approx(plain.wsd(step, warmup, total, share))
            assert found > 0
        assert wsd_factor(total, warmup_steps=warmup, total_steps=total, decay_share=share) == 0


def test_a_longer_wsd_run_agrees_until_the_shorter_one_falls():
    short, long = ({"warmup_steps": 10, "total_steps": total} for total in (100, 300))
    start = wsd_decay_start(**short)
    assert start == 90
    for step in range(start + 1):
        assert wsd_factor(step, **short) == wsd_factor(step, **long)
    assert wsd_factor(start + 1, **short) < wsd_factor(start + 1, **long)


def test_a_schedule_is_found_by_name():
    wsd = lr_factor("wsd", warmup_steps=2, total_steps=20, decay_share=None)
    assert [wsd(step) for step in (0, 1, 17, 18)] == [0.5, 1.0, 1.0, 1.0]
    assert wsd(19) == pytest.approx(1 - 0.5**0.5)
    assert lr_factor("cosine", warmup_steps=2, total_steps=4)(3) == pytest.approx(0.5)


def test_masks_by_module_adapt_what_they_decay():
    decayed, others = decay_groups([ResNet18(8), LearnedWeights(["rotate"])], 0.1)
    assert (decayed["adapt"], others["adapt"]) == (True, False)


def test_published_masks_decay_norms_in_sequences_and_log_sigma_and_adapt_everything():
    modules = [ResNet18(8), mlp(8, 8, 8), LearnedWeights(["rotate"])]
    names = {id(p): name for m in modules for name, p in m.named_parameters()}
    decayed, others = decay_groups(modules, 0.1, masks="published")
    assert (decayed["adapt"], others["adapt"]) == (True, True)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    found = {names[id(p)] for p in decayed["params"]}
    assert {"layer2.0.downsample.1.weight", "1.weight", "conv1.weight"} <= found
    assert any("sigma" in name for name in found)
    assert all("bias" in n or "bn" in n for n in (names[id(p)] for p in others["params"]))
    assert len(found) + len(others["params"]) == len(names)
