"""What was asked of a study later, on top of how it is written."""

from __future__ import annotations

import pytest

from handssl.errors import InputError
from handssl.execution.control import extension_of
from handssl.ledger.log import Asked
from handssl.study.extension import extended
from handssl.study.study import Study

STUDY = Study.parse({"name": "x", "cells": [{"composition": "blur"}], "blocks": [1, 2]})


@pytest.mark.parametrize(("written", "asked", "then"), [(100, 200, 200), (300, 200, 300)])
def test_the_larger_number_of_epochs_holds_whether_written_or_asked_for(written, asked, then):
    study = STUDY.merged({"pretrain.epochs": written})
    assert extended(study, Asked(epochs=asked)).pretrain.epochs == then


def test_seeds_that_are_asked_for_come_after_those_that_are_written():
    assert extended(STUDY, Asked(blocks=(2, 5))).blocks == (1, 2, 5)


def test_fewer_epochs_than_now_are_refused_with_the_number_of_now():
    with pytest.raises(InputError, match=r"--epochs: expected more than 100, .* got 50"):
        extension_of(STUDY, epochs=50)
