"""A folder that is no FreiHAND root: what it holds, and what may be meant instead."""

import pytest

from handssl.data.readers.freihand import FreihandReader
from handssl.errors import DataError


def files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def official(folder):
    return files(folder, "training/rgb/00000000.jpg", "training_K.json")


@pytest.mark.parametrize("given", [".", "..", "root/training", "root/training/rgb", "root/none"])
def test_a_root_that_is_near_is_suggested(tmp_path, given):
    root = official(tmp_path / "data" / "root")
    start = tmp_path / "data" if given != ".." else tmp_path
    wrong = start if given in (".", "..") else start / given
    with pytest.raises(DataError, match=rf"expected a FreiHAND root .* did you mean {root}\?"):
        FreihandReader(wrong)


def test_a_folder_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"none: .* found nothing$"):
        FreihandReader(tmp_path / "a" / "b" / "none")


def test_what_is_in_the_folder_is_listed(tmp_path):
    with pytest.raises(DataError, match=r"found a\.txt, b\.txt$"):
        FreihandReader(files(tmp_path / "x" / "y" / "z", "b.txt", "a.txt"))


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (("evaluation_K.json", "evaluation/rgb/00000000.jpg"), "give it as evaluation_root"),
        (
            ("annotations/train/InterHand2.6M_train_data.json", "images/train/a.jpg"),
            "looks like InterHand2.6M, use the dataset name interhand",
        ),
        (("a.jpg", "b.jpg"), "use the dataset name folder"),
        (("people/a.PNG",), "use the dataset name folder"),
        (("FreiHAND_pub_v2.zip",), "unpack FreiHAND_pub_v2.zip there first"),
        (("training_K.json",), r"found training_K\.json$"),
    ],
)
def test_another_kind_of_folder_is_recognised(tmp_path, names, hint):
    with pytest.raises(DataError, match=hint):
        FreihandReader(files(tmp_path / "x" / "y" / "z", *names))


def test_the_evaluation_release_beside_the_training_release_suggests_the_latter(tmp_path):
    root = official(tmp_path / "x" / "FreiHAND_pub_v2")
    other = files(tmp_path / "x" / "FreiHAND_pub_v2_eval", "evaluation_K.json")
    with pytest.raises(DataError, match=rf"did you mean {root}\?"):
        FreihandReader(other)
