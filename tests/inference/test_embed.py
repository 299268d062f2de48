"""Features of a folder: one row per image, those that predictions are read from."""

import cv2
import numpy as np
import pandas as pd
import pytest

from handssl.cli.app import invoke
from handssl.inference.model_file import load_folder
from handssl.inference.photo import read_photo
from handssl.inference.predict import features_of
from tests.conftest import BlobHands


@pytest.fixture
def crops(tmp_path):
    folder = tmp_path / "crops"
    (folder / "b").mkdir(parents=True)
    for name, row in (("b/two.png", 113), ("one.png", 114)):
        cv2.imwrite(str(folder / name), BlobHands()[row].image[:, :, ::-1])
    return folder


def test_both_files_have_the_features_by_name(crops, storage, folder, tmp_path, capfd):
    for ending in ("npz", "parquet"):
        out = tmp_path / f"features.{ending}"
        line = ["embed", crops, "--model", "abcd", "--storage", storage, "--output", out]
        assert invoke([str(word) for word in line]) == 0
    model = load_folder(folder)
    expected = features_of(model, [read_photo(crops / n) for n in ("b/two.png", "one.png")])
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert file["files"].tolist() == ["b/two.png", "one.png"]
        np.testing.assert_allclose(file["features"], expected, atol=1e-4)
        assert str(file["digest"]) == model.facts.digest
    table = pd.read_parquet(tmp_path / "features.parquet")
    assert table["file"].tolist() == ["b/two.png", "one.png"]
    np.testing.assert_allclose(table.drop(columns="file").to_numpy(), expected, atol=1e-4)


def test_a_bad_image_is_left_out_and_reported(crops, storage, tmp_path, capfd):
    (crops / "bad.png").write_bytes(b"x")
    out = tmp_path / "f.npz"
    line = ["embed", crops, "--model", "abcd", "--storage", storage, "--output", out]
    assert invoke([str(word) for word in line]) == 3
    assert "1 of 3 images left out" in capfd.readouterr().err
    with np.load(out) as file:
        assert file["features"].shape == (2, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["none"], "expected a folder with images"), (["crops", "--output", "f.csv"], ".parquet")],
)
def test_what_cannot_be_embedded_is_said(
    crops, storage, tmp_path, capfd, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    assert invoke(["embed", *words, "--model", "abcd", "--storage", str(storage)]) == 2
    assert message in capfd.readouterr().err
