"""Exported models give, in plain torchvision and onnxruntime, the features and joints of the trial.

The state of the storage and the place of a file make no difference.
"""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file

import handssl
from handssl.cli.app import invoke
from handssl.data.crops import crop_sample
from handssl.data.sample import Sample
from handssl.data.splits import StudyData
from handssl.evaluation.features import extract_features
from handssl.evaluation.predictions import FILE as PREDICTIONS
from handssl.evaluation.predictions import decode
from handssl.inference import onnx_file
from handssl.inference.model_file import load_folder
from handssl.transforms import plain_view
from tests.conftest import BlobHands

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def data(blob_data):
    return StudyData(blob_data)


@pytest.fixture(scope="module")
def moved(storage, tmp_path_factory):
    """The storage in another place, without the first one's name anywhere."""
    there = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(storage, there, symlinks=True)
    return there


@pytest.fixture
def run(capfd, moved):
    def call(*arguments):
        code = invoke(["export", *map(str, arguments), "--storage", str(moved)])
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope="module")
def views(data):
    """Normalised inputs of the test hands."""
    split = data.store("test")
    crops = split.crops(np.arange(6))
    return plain_view(crops, view_px=32, context=split.manifest.context)


@pytest.fixture(scope="module")
def features(folder, data):
    """Features of the test hands by the code that evaluates trials."""
    return extract_features(load_folder(folder).encoder, data.store("test"), view_px=32)[:6]


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_plain_torchvision_gives_the_features(run, views, features, tmp_path, ending):
    path = tmp_path / f"encoder.{ending}"
    code, out, err = run("abcd", "--format", "torchvision", "--output", path)
    assert code == 0, err
    state = torch.load(path, weights_only=True) if ending == "pth" else load_file(path)
    network = torchvision.models.resnet18()
    network.fc = torch.nn.Identity()
    network.eval()
    with torch.no_grad():
        found = torch.func.functional_call(network, state, views)
    assert "functional_call" in out
    assert (found - features).abs().max() < 1e-4


def test_an_encoder_of_the_usual_width_loads_as_resnet18_with_all_its_names(folder, tmp_path):
    from dataclasses import replace

    from handssl.inference.export import export_model
    from handssl.models import EncoderConfig, build_encoder, initialise

    config = EncoderConfig(width=64, input_px=32)
    encoder = build_encoder(config).eval()
    initialise(encoder, seed=1)
    small = load_folder(folder)
    facts = small.facts.model_copy(update={"encoder": config})
    wide = replace(small, encoder=encoder, probe=replace(small.probe, facts=facts))
    found = export_model(wide, "torchvision", tmp_path / "wide.pth")
    network = torchvision.models.resnet18()
    network.fc = torch.nn.Identity()
    network.load_state_dict(torch.load(found.path, weights_only=True))  # strict
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert (network.eval()(images) - encoder(images)).abs().max() < 1e-4


def test_the_file_with_the_read_out_predicts_as_the_trial(run, storage, tmp_path):
    path = tmp_path / "model.safetensors"
    code, out, err = run("best", "--output", path, "--json")
    assert code == 0, err
    image = BlobHands()[115].image
    expected = handssl.predict(image, model="abcd", storage=storage)
    found = handssl.predict(image, model=path)
    assert np.abs(found.uv - expected.uv).max() < 0.05
    assert np.abs(found.xyz_mm - expected.xyz_mm).max() < 0.1
    assert json.loads(out)["digest"] in path.with_suffix(".md").read_text()


@pytest.mark.faults  # the exporter takes seconds
def test_onnxruntime_gives_features_and_joints_from_an_image(
    run, views, features, folder, tmp_path
):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    code, out, err = run("abcd", "--format", "onnx", "--output", path)
    assert code == 0, err
    session = onnxruntime.InferenceSession(str(path))
    images = views.numpy() * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1))
    outputs = session.run(None, {"images": images.astype(np.float32)})
    assert np.abs(outputs[0] - features.numpy()).max() < 1e-4
    kept = decode((folder / PREDICTIONS).read_bytes()).splits["test"]  # half precision
    assert np.abs(outputs[1] - kept.uv[:6].astype(np.float32)).max() < 1e-3
    assert np.abs(outputs[2] - kept.z[:6].astype(np.float32)).max() < 5e-3
    columns = load_folder(folder).columns(views).numpy()
    assert np.abs(outputs[1].reshape(6, 42) - columns[:, :42]).max() < 1e-4
    assert np.abs(outputs[2] - columns[:, 42:]).max() < 1e-4
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["handssl.joints"].split(",")[-1] == "little_tip"
    assert "onnxruntime gave torch's outputs" in out


def test_the_card_says_data_objective_errors_with_interval_licence_and_limits(run, tmp_path):
    code, _, err = run("abcd", "--output", tmp_path / "m.safetensors")
    assert code == 0, err
    card = (tmp_path / "m.md").read_text()
    for words in ("relative", "rotate", "blobs ", "95 %", "Licence".lower(), "## Limits", "digest"):
        assert words in card, words
    assert "not known to handssl" in card  # the licence of data that handssl does not read


def test_missing_libraries_are_named(run, monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    code, _, err = run("abcd", "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert code == 2 and "pip install 'handssl[export]'" in err
    assert not (tmp_path / "m.onnx").exists()


def test_a_deviating_export_is_not_written(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_file, "_exported", lambda *_: b"")
    monkeypatch.setattr(onnx_file, "_with_facts", lambda *_: b"")
    monkeypatch.setattr(onnx_file, "_deviation", lambda *_: float("nan"))
    with pytest.raises(handssl.errors.HandsslError, match="nothing was written"):
        onnx_file.save_onnx(load_folder(folder), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_folder_that_cannot_be_written_is_said(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("abcd", "--output", tmp_path / "file" / "m.safetensors")
    assert code == 3 and "Traceback" not in err


def test_an_image_goes_the_same_way_through_onnx_and_predict(folder):
    """The crop of a photo, resampled as in training, is the input of every export."""
    model = load_folder(folder)
    image = cv2.resize(BlobHands()[130].image, (90, 90))
    pose = handssl.predict(image, model=model)
    crop, _ = crop_sample(Sample(image, 0, 0, "x"), model.facts.crop_px, model.facts.context)
    views = model.views(torch.from_numpy(crop).permute(2, 0, 1)[None])
    uv = model.columns(views)[0, :42].reshape(21, 2).numpy()
    assert np.abs(pose.uv - (44.5 + 90 * uv)).max() < 0.05
