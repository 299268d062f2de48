"""Predictions on photos: the trial's own numbers, true hands in space, and clear refusals."""

import json
import math
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

import handssl
from handssl.cli.app import invoke
from handssl.data.crops import box_of
from handssl.data.mirroring import mirrored
from handssl.errors import DataError, InputError
from handssl.evaluation import kept_probe
from handssl.evaluation.predictions import FILE as PREDICTIONS
from handssl.evaluation.predictions import decode
from handssl.evaluation.read_out import LinearReadOut
from handssl.inference import bundled
from handssl.inference.model_file import load_folder, load_model, save_model
from handssl.inference.photo import Photo
from handssl.inference.predict import predict_photos
from tests.conftest import BlobHands

TRIAL = "abcd" + 12 * "0"


@pytest.fixture(scope="module")
def model(folder):
    return load_folder(folder)


@pytest.fixture
def run(capfd, storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, where=storage):
        code = invoke(["predict", *map(str, arguments), "--storage", str(where)])
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def photo(tmp_path):
    """A file with a hand."""
    path = tmp_path / "hand.png"
    cv2.imwrite(str(path), BlobHands()[120].image[:, :, ::-1])
    return path


def hands(split):
    reader = BlobHands()
    return [reader[int(row)] for row in reader.splits[split]]


def box_for(sample, model):
    """The box that a user gives so that the crop box is that of the labels."""
    centre, side = box_of(sample)
    inner = side / model.facts.hand.margin
    return (*(centre - inner / 2 + 0.5), inner, inner)


def knows(model, sample):
    """A model that gives the true pose of one hand, whatever it sees."""
    centre, side = box_of(sample)
    bone = np.linalg.norm(sample.xyz[9] - sample.xyz[0])
    z = (sample.xyz[:, 2] - sample.xyz[0, 2]) / bone
    truth = np.concatenate((((sample.uv - centre) / side).ravel(), z))
    dim = model.probe.read_out.dim
    layer = LinearReadOut(
        torch.zeros(dim, dtype=torch.float64),
        torch.ones(dim, dtype=torch.float64),
        torch.zeros(dim, 63, dtype=torch.float64),
        torch.from_numpy(truth),
    )
    return replace(model, probe=replace(model.probe, read_out=layer)), 1000.0 * bone


def test_a_photo_gets_the_joints_that_the_trial_has_predicted(model, folder):
    kept = decode((folder / PREDICTIONS).read_bytes()).splits["test"]
    for row, sample in enumerate(hands("test")[:6]):
        assert kept.ids[row] == sample.id
        pose = handssl.predict(sample.image, model=model, box=box_for(sample, model))
        centre, side = box_of(sample)
        expected = centre + side * kept.uv[row].astype(float)
        # Half precision of the file moves a joint by at most 2^-11 of 1 box side.
        assert np.abs(pose.uv - expected).max() < 0.05
        assert np.abs(pose.z[1:] - kept.z[row, 1:].astype(float)).max() < 2e-3


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_true_pose_is_a_true_hand_in_space_on_both_sides(model, side):
    recovered = 0
    for sample in hands("select")[:5]:
        knowing, bone_mm = knows(model, sample)
        fx, fy, cy = (sample.camera[i, j] for i, j in ((0, 0), (1, 1), (1, 2)))
        seen = sample if side == "right" else mirrored(sample)
        camera = (fx, fy, seen.camera[0, 2], cy)
        box = box_for(seen, model)
        pose = handssl.predict(
            seen.image, model=knowing, box=box, side=side, camera=camera, bone_mm=bone_mm
        )
        xyz = 1000.0 * seen.xyz
        assert np.abs(pose.uv - seen.uv).max() < 1e-6
        # Blobs lie anywhere: for some the nearer solution of the depth is the true one.
        if abs(pose.root_depth_mm - xyz[0, 2]) < 1.0:
            recovered += 1
            assert np.abs(pose.xyz_mm - (xyz - xyz[0])).max() < 0.1
        mirror = () if side == "right" else ("side: left, predicted on the mirror image",)
        assert pose.assumptions[: len(mirror)] == mirror
    assert recovered >= 3


def test_a_left_hand_is_the_mirror_image_of_the_right_one(model):
    image = hands("test")[0].image
    right = handssl.predict(image, model=model)
    left = handssl.predict(np.ascontiguousarray(image[:, ::-1]), model=model, side="left")
    last = image.shape[1] - 1
    np.testing.assert_allclose(left.uv, [last, 0] + right.uv * [-1, 1], atol=1e-6)
    np.testing.assert_allclose(left.xyz_mm, right.xyz_mm * [-1, 1, 1], atol=1e-6)


def test_the_projection_of_the_joints_in_space_is_the_joints_in_the_photo(model):
    pose = handssl.predict(hands("test")[1].image, model=model)
    wrist = np.linalg.inv(pose.camera) @ [*pose.uv[0], 1.0] * pose.root_depth_mm
    points = (pose.xyz_mm + wrist) @ pose.camera.T
    np.testing.assert_allclose(points[:, :2] / points[:, 2:], pose.uv, atol=1e-6)


def test_a_larger_photo_of_the_same_scene_gives_the_same_hand_in_mm(model):
    image = hands("test")[2].image
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    small, big = (handssl.predict(one, model=model) for one in (image, large))
    assert np.abs(small.xyz_mm - big.xyz_mm).max() < 8.0  # resampling changes a few pixels
    assert np.abs((big.uv + 0.5) / 4 - 0.5 - small.uv).max() < 4.0


def test_what_is_not_given_is_listed_and_what_is_given_is_not(model):
    sample = hands("test")[0]
    pose = handssl.predict(sample.image, model=model)
    found = [one.split(":")[0] for one in pose.assumptions]
    assert found[:3] == ["box", "camera", "hand size"]
    given = handssl.predict(
        sample.image, model=model, box=(8, 8, 40, 40), camera=(128, 128, 32, 32), bone_mm=90
    )
    assert not {"box", "camera", "hand size"} & {one.split(":")[0] for one in given.assumptions}


def test_many_photos_are_predicted_as_one_by_one(model):
    images = [sample.image for sample in hands("test")[:5]]
    together = list(predict_photos(model, (Photo(one) for one in images), batch=2))
    for image, pose in zip(images, together, strict=True):
        np.testing.assert_allclose(handssl.predict(image, model=model).uv, pose.uv, atol=1e-3)


def test_a_file_of_the_model_predicts_the_same_wherever_it_lies(model, folder, tmp_path):
    save_model(model, tmp_path / "model.safetensors")
    shutil.copytree(folder, tmp_path / "moved")
    image = hands("test")[3].image
    expected = handssl.predict(image, model=model)
    for name in ("model.safetensors", "moved"):
        pose = handssl.predict(image, model=tmp_path / name)
        assert np.abs(pose.uv - expected.uv).max() < 0.05
        assert np.abs(pose.xyz_mm - expected.xyz_mm).max() < 0.1


def test_the_files_of_a_prediction_say_the_same(run, photo, tmp_path):
    code, out, err = run(photo, "--model", "abcd", "--output", tmp_path / "out")
    assert code == 0, err
    document = json.loads((tmp_path / "out" / "hand.json").read_text())
    code, line, _ = run(photo, "--model", "best", "--json")
    assert code == 0
    assert json.loads(line)["uv_px"] == document["uv_px"]
    assert len(document["joints"]) == len(document["uv_px"]) == len(document["xyz_mm"]) == 21
    assert cv2.imread(str(tmp_path / "out" / "hand.png")).shape == (64, 64, 3)
    page = (tmp_path / "out" / "hand.html").read_text()
    assert "http" not in page.replace("http-equiv", "")  # it needs no network
    assert "assumed  camera" in out and all(one in page for one in ("little tip", "Assumed"))


def test_a_folder_gives_a_line_for_each_image_and_goes_on_after_a_bad_one(run, photo, tmp_path):
    crops = tmp_path / "crops"
    (crops / "a").mkdir(parents=True)
    for name in ("a/one.png", "two.png"):
        shutil.copy(photo, crops / name)
    (crops / "bad.jpg").write_bytes(b"not an image")
    code, out, err = run(crops, "--model", TRIAL[:6], "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 3 and "1 of 3 images" in err
    assert sorted(line["image"][len(str(crops)) + 1 :] for line in lines) == [
        *("a/one.png", "bad.jpg", "two.png"),
    ]
    assert sum("error" in line for line in lines) == 1


def test_a_photo_is_turned_as_its_camera_says(model, tmp_path):
    from PIL import Image

    image = hands("test")[4].image
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn anticlockwise
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(image)))
    stored.save(tmp_path / "turned.jpg", quality=100, subsampling=0, exif=exif)
    Image.fromarray(image).save(tmp_path / "plain.jpg", quality=100, subsampling=0)
    turned, plain = (
        handssl.predict(tmp_path / name, model=model) for name in ("turned.jpg", "plain.jpg")
    )
    assert turned.assumptions[0].startswith("image: turned")
    assert np.abs(turned.uv - plain.uv).max() < 2.0


def huge(path):
    """A PNG that says it has 400 million pixels, in a few bytes."""
    import struct
    import zlib

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("make", "options", "code", "message"),
    [
        (lambda p: p / "none.jpg", (), 3, "expected an image, found none"),
        (lambda p: (p / "x.jpg").write_text("hello") and p / "x.jpg", (), 3, "a whole JPEG"),
        (lambda p: huge(p / "huge.png"), (), 3, "at most 100 million pixels"),
        (lambda p: cv2.imwrite(str(p / "s.png"), np.full((9, 9, 3), 99)) and p / "s.png", (), 2,
         "at least 16 x 16 pixels, got 9 x 9"),
        (lambda p: p / "hand.png", ("--box", "1,2,3"), 2, "four numbers x,y,w,h"),
        (lambda p: p / "hand.png", ("--box", "100,0,20,20"), 2, "a box inside"),
        (lambda p: p / "hand.png", ("--box", "5,5,2,2"), 2, "at least 16 x 16"),
        (lambda p: p / "hand.png", ("--camera", "0,500,32,32"), 2, "fx, fy > 0"),
        (lambda p: p / "hand.png", ("--bone", "0.09"), 2, "20 to 200 mm"),
        (lambda p: p / "hand.png", ("--model", "beef"), 2, "found no such run"),
        (lambda p: p / "hand.png", ("--model", "no/model.safetensors"), 2, "found none"),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_is_said(run, photo, tmp_path, make, options, code, message):
    with_model = options if "--model" in options else (*options, "--model", "abcd")
    found, _, err = run(make(tmp_path), *with_model)
    assert (found, message in err.replace("\n", " ")) == (code, True), err
    assert "Traceback" not in err


def test_weights_of_another_program_are_refused(photo, tmp_path):
    path = tmp_path / "resnet.safetensors"
    safetensors.torch.save_file({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(DataError, match="without a read-out of handssl"):
        handssl.predict(photo, model=path)
    path.write_bytes(b"\x05\x00")
    with pytest.raises(DataError, match="expected a model of handssl"):
        handssl.predict(photo, model=path)


def test_a_model_of_other_joints_is_refused(model, photo, tmp_path):
    facts = model.facts.model_copy(update={"joints": tuple("abcdef")})
    other = replace(model, probe=replace(model.probe, facts=facts))
    save_model(other, tmp_path / "m.safetensors")
    with pytest.raises(DataError, match=r"expected the 21 joints .* found 6"):
        handssl.predict(photo, model=tmp_path / "m.safetensors")


def test_changed_weights_are_noticed(model, tmp_path):
    save_model(model, tmp_path / "m.safetensors")
    content = bytearray((tmp_path / "m.safetensors").read_bytes())
    place = len(content) // 2
    content[place] ^= 0x10
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(DataError):
        load_model(tmp_path / "m.safetensors")


def test_a_probe_beside_another_encoder_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "mixed")
    path = tmp_path / "mixed" / "encoder.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["conv1.weight"] = tensors["conv1.weight"] + 1.0
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(DataError, match="handssl probe mixed --keep"):
        load_folder(tmp_path / "mixed")


def test_a_model_without_a_size_of_hands_asks_for_one(model, photo):
    hand = model.facts.hand.model_copy(update={"bone_mm": None})
    facts = model.facts.model_copy(update={"hand": hand})
    sizeless = replace(model, probe=replace(model.probe, facts=facts))
    with pytest.raises(InputError, match="--bone 90"):
        handssl.predict(photo, model=sizeless)
    assert handssl.predict(photo, model=sizeless, bone_mm=90.0).bone_mm == 90.0


def test_a_trial_of_an_earlier_version_gets_its_probe_by_the_command_in_the_error(
    storage, photo, tmp_path, capfd
):
    old = tmp_path / "old"
    shutil.copytree(storage, old, symlinks=True)
    probe = old / "trials" / TRIAL / kept_probe.FILE
    before = probe.read_bytes()
    probe.unlink()
    with pytest.raises(DataError, match="--keep") as error:
        handssl.predict(photo, model="abcd", storage=old)
    words = str(error.value).split("`")[1].split()
    assert invoke(words[words.index("probe") :]) == 0
    capfd.readouterr()
    assert probe.read_bytes() == before


def test_an_installation_without_a_model_of_its_own_says_so(photo, monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "none")
    with pytest.raises(InputError, match="--model best"):
        handssl.predict(photo)


def test_the_typical_hand_is_that_of_the_labels(model, folder):
    """Medians over the hands that the probe was fitted on, from the datasets' own labels."""
    found = []
    for sample in hands("probe"):
        _, side = box_of(sample)
        bone = np.linalg.norm(sample.xyz[9] - sample.xyz[0])
        extent = np.ptp(sample.uv, axis=0).max()
        focal = sample.camera[0, 0] / side
        found.append((1000 * bone, focal, sample.xyz[0, 2] / bone / focal, side / extent))
    hand = model.facts.hand
    expected = np.median(found, axis=0)
    np.testing.assert_allclose(
        [hand.bone_mm, hand.focal, hand.box_bones, hand.margin], expected, rtol=1e-6
    )
    assert math.isclose(model.facts.context, 1.75)
