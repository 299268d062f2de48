"""Predictions on images in the terminal: progress, files, and one line for each image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click
import cv2

from handssl.cli.views.terminal import OnProgress, progress_bar
from handssl.data.contact_sheet import write_sheet
from handssl.data.readers.find_images import images_below
from handssl.errors import DataError, HandsslError, InputError
from handssl.inference.hand_pose import HandPose
from handssl.inference.model import HandModel
from handssl.inference.overlay import overlay
from handssl.inference.page import page
from handssl.inference.photo import Photo, read_photo
from handssl.inference.predict import predict_photos
from handssl.training.checkpoints.writing import write_whole

_ONE_BY_ONE = 3  # with so few images a bar says nothing


def predict_all(
    model: HandModel,
    images: tuple[Path, ...],
    known: Mapping[str, Any],
    folder: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict the hands of images and of those in folders, print and write them.

    Args:
        model: The model.
        images: Images, and folders of images.
        known: What is known about every image, see `read_photo`.
        folder: Folder to write to; None: nothing is written.
        as_json: Print one JSON document on a line for each image.
        quiet: No progress.

    Raises:
        InputError: A folder has no image, or what is known is not valid for an image.
        DataError: Images could not be read; the others have been predicted.
    """
    # cv2 starts as many threads as there are cores, for images that need none.
    cv2.setNumThreads(1)
    files = _distinct(_files(images))
    if not as_json:
        _announce(model)
    with progress_bar("predicting", quiet=quiet or len(files) <= _ONE_BY_ONE) as on_progress:
        failed = _run(model, files, known, folder, as_json, on_progress)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise (
            failed[0]
            if len(files) == 1
            else DataError(
                f"{len(failed)} of {len(files)} images were not predicted: {failed[0]}{more}"
            )
        )


def _run(
    model: HandModel,
    files: list[tuple[Path, Path]],
    known: Mapping[str, Any],
    folder: Path | None,
    as_json: bool,
    on_progress: OnProgress,
) -> list[HandsslError]:
    failed: list[HandsslError] = []
    read: list[Path] = []

    def photos() -> Iterator[Photo]:
        for number, (path, name) in enumerate(files):
            on_progress(number, len(files))
            try:
                photo = read_photo(path, **known)
            except HandsslError as error:
                failed.append(error)
                _report(path, error, as_json)
                continue
            read.append(name)
            yield photo

    for number, pose in enumerate(predict_photos(model, photos())):
        document = pose.document() | {"model": model.card.name, "digest": model.facts.digest}
        written = {} if folder is None else write(pose, document, folder / read[number], model)
        if as_json:
            click.echo(json.dumps(document | written))
        else:
            _print(pose, written)
    on_progress(len(files), len(files))
    return failed


def write(
    pose: HandPose, document: Mapping[str, Any], stem: Path, model: HandModel
) -> dict[str, Any]:
    """Write a prediction as JSON, PNG and HTML; return the paths by kind.

    Args:
        pose: The prediction.
        document: The same as plain values.
        stem: Path of the files without their endings.
        model: The model.

    Raises:
        DataError: A file cannot be written.
    """
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in ("json", "png", "html")}
    write_sheet(paths["png"], overlay(pose))
    _write(paths["json"], json.dumps(document, indent=2) + "\n")
    _write(paths["html"], page(pose, model.card.name))
    return {"written": {kind: str(path) for kind, path in paths.items()}}


def _write(path: Path, text: str) -> None:
    content = text.encode()

    def put(file: BinaryIO) -> None:
        file.write(content)

    write_whole(path, put, size_bytes=len(content))


def _files(images: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
    """Return every image with the name of its results, relative to the folder of the output."""
    for path in images:
        if not path.is_dir():
            yield path, Path(path.stem)
            continue
        found = sorted(name for name, _ in images_below(path))
        if not found:
            raise InputError(f"{path}: expected images in this folder, found none")
        yield from ((path / name, Path(name)) for name in found)


def _distinct(files: Iterator[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return the files, with a number in the name of results that another file has already."""
    taken: set[Path] = set()
    found = []
    for path, name in files:
        free, number = name, 2
        while free in taken:
            free, number = name.with_name(f"{name.name}-{number}"), number + 1
        taken.add(free)
        found.append((path, free))
    return found


def _announce(model: HandModel) -> None:
    card = model.card
    error = f"; {card.errors[0].what}: {card.errors[0]}" if card.errors else ""
    click.echo(f"model {card.name}: {model.network}{error}", err=True)
    for note in card.notes:
        click.echo(f"  note  {note}", err=True)


def _report(path: Path, error: HandsslError, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"image": str(path), "error": str(error)}))


def _print(pose: HandPose, written: Mapping[str, Any]) -> None:
    click.echo(f"{pose.photo.name}: {pose.photo.side} hand, {len(pose.uv)} joints")
    for one in pose.assumptions:
        click.echo(f"  assumed  {one}")
    for path in written.get("written", {}).values():
        click.echo(f"  written  {path}")
