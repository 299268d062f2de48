"""The paper's probe, the conditions of a probe, and features that are kept."""

import copy

import pytest
import torch

from handssl.data.packing import pack
from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.evaluation import extract_features, fit_probe, settle_batch_norm
from handssl.evaluation.config import ProbeConfig, probe_id
from handssl.evaluation.feature_cache import FeatureCache, feature_key
from handssl.evaluation.fitting_views import fitting_moves, moved_features
from handssl.evaluation.sgd import grid_of, sgd_probes
from handssl.evaluation.targets import pose_targets
from handssl.models import ResNet18, initialise
from handssl.randomness import permutation
from handssl.transforms import move_points
from tests.reference import sgd_probe as reference

SMALL = ProbeConfig(name="sgd", lr=(1e-2, 3e-2), weight_decay=(0.0, 0.1), epochs=2, batch=5)


@pytest.fixture
def data(blob_data):
    return StudyData(blob_data)


@pytest.fixture
def encoder(data):
    model = ResNet18(8)
    initialise(model, seed=1)
    settle_batch_norm(model, data.store("pretrain"), view_px=32, batch=16)
    return model


def problem(rows=12, dim=4):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, dim, generator=generator)
    y = 0.1 * torch.randn(rows, 63, generator=generator) + 0.3
    valid = torch.rand(rows, 21, generator=generator) > 0.3
    valid[0] = True
    return x, y, valid


def test_every_point_of_the_grid_is_what_torchs_adam_makes_of_it_alone():
    x, y, valid = problem()
    probes = sgd_probes(x, y, valid, SMALL)
    new = torch.randn(5, 4, generator=torch.Generator().manual_seed(4)).double()
    assert [probe.point for probe in probes] == grid_of(SMALL)
    for probe, (lr, weight_decay) in zip(probes, grid_of(SMALL), strict=True):
        expected = reference.train(
            x.double(),
            y.double(),
            valid,
            lambda epoch: torch.from_numpy(permutation(12, "probe", 0, epoch)),
            lr=lr,
            weight_decay=weight_decay,
            epochs=2,
            batch=5,
        )
        assert torch.allclose(probe.predict(new), expected(new), atol=1e-9)


def test_labels_of_joints_without_one_do_not_matter():
    x, y, valid = problem()
    spoiled = torch.where(
        torch.cat((valid.repeat_interleave(2, dim=1), valid), dim=1), y, torch.full_like(y, 99.0)
    )
    for probe, other in zip(
        sgd_probes(x, y, valid, SMALL), sgd_probes(x, spoiled, valid, SMALL), strict=True
    ):
        assert torch.equal(probe.predict(x), other.predict(x))


def test_it_repeats_to_the_last_bit_and_other_seeds_differ():
    x, y, valid = problem()
    first, again = (sgd_probes(x, y, valid, SMALL)[0].weight for _ in range(2))
    other = sgd_probes(x, y, valid, ProbeConfig.parse({**SMALL.model_dump(), "seed": 1}))[0].weight
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_linear_pose_is_learned():
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    y = x @ torch.randn(6, 63, generator=torch.Generator().manual_seed(2))
    config = ProbeConfig(name="sgd", lr=(3e-2,), weight_decay=(0.0,), epochs=60, batch=32)
    (probe,) = sgd_probes(x, y, torch.ones(300, 21, dtype=torch.bool), config)
    assert float((probe.predict(x) - y).abs().mean()) < 0.02 * float(y.abs().mean())


@pytest.mark.parametrize("name", ["ridge", "sgd"])
@pytest.mark.parametrize("augmentation", ["off", "geometric"])
def test_fitting_leaves_the_encoder_exactly_as_it_was(data, encoder, name, augmentation):
    encoder.train()
    before = copy.deepcopy(encoder.state_dict())
    config = ProbeConfig(name=name, augmentation=augmentation, views=1, epochs=1)
    probe, selected = fit_probe(encoder, data, view_px=32, config=config)
    assert all(module.training for module in encoder.modules())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert probe.predict(selected).shape == (24, 63)
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_labels_move_with_the_views_they_are_fitted_on(data, encoder):
    store, config = data.store("probe"), ProbeConfig(augmentation="geometric", views=2)
    features, target = moved_features(encoder, store, config, view_px=32)
    still = pose_targets(store)
    assert features.shape == (2 * len(store), encoder.dim)
    assert torch.equal(target.z, still.z.repeat(2, 1))
    assert not torch.allclose(target.uv[: len(store)], still.uv)
    # A turn and a shift of the image keep the lengths of bones in it.
    bones = [(uv[:, 9] - uv[:, 0]).norm(dim=1) for uv in (target.uv, still.uv.repeat(2, 1, 1))]
    assert torch.allclose(*bones, atol=1e-5)


def test_a_feature_that_shows_where_a_joint_is_follows_the_moved_labels(data, monkeypatch):
    """Features that are the joints of a view, found by moving the labels in a loop."""
    store = data.store("probe")
    uv = pose_targets(store).uv
    seen = []

    class Joints(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return images.flatten(1)[:, :1]

    original = move_points

    def watch(points, matrix):
        seen.append((points, matrix))
        return original(points, matrix)

    monkeypatch.setattr("handssl.evaluation.fitting_views.move_points", watch)
    _, target = moved_features(Joints(), store, ProbeConfig(views=1), view_px=32)
    ((points, matrix),) = seen
    assert torch.equal(points, uv)
    for n in range(3):
        for joint in range(21):
            back = matrix[n, :, :2] @ target.uv[n, joint] + matrix[n, :, 2]
            assert torch.allclose(back, uv[n, joint], atol=1e-5)


def test_moves_stay_within_the_stored_crop():
    assert fitting_moves(1.0) == ()
    assert fitting_moves(1.75) == ("rotate", "translate")
    assert "scale" in fitting_moves(3.0)


def test_conditions_are_part_of_the_protocol_and_of_the_identity():
    usual = ProbeConfig()
    assert usual.suffix("extent") == ""
    assert ProbeConfig(augmentation="geometric").suffix("extent") == "_aug"
    assert usual.suffix("published") == "_boxpub"
    assert usual.suffix("detector") == "_boxdet"
    names = {
        probe_id("t", "d", usual),
        probe_id("t", "e", usual),
        probe_id("u", "d", usual),
        probe_id("t", "d", ProbeConfig(epochs=3)),
    }
    assert len(names) == 4


def test_a_mistake_in_a_probe_is_reported_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        ProbeConfig.parse({"epoch": 3})


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features")


def test_kept_features_are_those_computed_anew(data, encoder, cache, monkeypatch):
    store = data.store("select")
    expected = extract_features(encoder, store, view_px=32)
    assert torch.equal(cache(encoder, store, view_px=32), expected)
    monkeypatch.setattr("handssl.evaluation.feature_cache.extract_features", None)
    assert torch.equal(cache(encoder, store, view_px=32), expected)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_features_are_computed_anew(data, encoder, cache, damage):
    store = data.store("select")
    expected = cache(encoder, store, view_px=32)
    (path,) = cache.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:100], "flip": content, "empty": b""}[damage])
    assert torch.equal(cache(encoder, store, view_px=32), expected)
    assert torch.equal(cache(encoder, store, view_px=32), expected)


def test_the_key_follows_weights_statistics_split_and_size(data, encoder):
    store = data.store("select")
    keys = {feature_key(encoder, store, 32), feature_key(encoder, store, 64)}
    keys.add(feature_key(encoder, data.store("test"), 32))
    with torch.no_grad():
        encoder.conv1.weight[0, 0, 0, 0] += 1e-6
    keys.add(feature_key(encoder, store, 32))
    encoder.bn1.running_mean += 1e-6
    keys.add(feature_key(encoder, store, 32))
    assert len(keys) == 5


def test_the_oldest_features_go_when_there_are_too_many(data, encoder, tmp_path):
    small = FeatureCache(tmp_path, max_bytes=1)
    for split in ("select", "test"):
        small(encoder, data.store(split), view_px=32)
    (path,) = tmp_path.iterdir()
    assert path.stem == feature_key(encoder, data.store("test"), 32)


def test_features_that_cannot_be_kept_are_returned_all_the_same(data, encoder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = FeatureCache(tmp_path / "file")
    assert len(cache(encoder, data.store("select"), view_px=32)) == 24


def test_a_stores_boxes_are_in_its_manifest(blob_data, tmp_path, blob_dataset):
    from handssl.data.readers.detected import DetectedReader

    reader = blob_dataset()
    lines = [f"{reader[i].id},10,12,40,36" for i in range(len(reader))]
    (tmp_path / "boxes.csv").write_text("\n".join(["id,x,y,width,height", *lines]) + "\n")
    store = pack(
        DetectedReader(reader, tmp_path / "boxes.csv"), tmp_path / "store", crop_px=56, workers=1
    )
    assert store.manifest.box == "detector"
    assert StudyData(blob_data).labelled.manifest.box == "labels"
    assert store.manifest.fingerprint != StudyData(blob_data).labelled.manifest.fingerprint
    # The same box for all: joints lie where the image has them, not in the middle.
    uv = store.split("test").label("uv")
    scale = 1.75 * 1.25 * 40 / 56
    sample = reader[int(store.split("test")._samples[0])]
    centre = (10 + 20 - 0.5, 12 + 18 - 0.5)
    for axis in range(2):
        origin = centre[axis] + (0.5 - 28) * scale
        assert uv[0, :, axis] == pytest.approx((sample.uv[:, axis] - origin) / scale)
