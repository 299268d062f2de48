"""What a submitted study may name: no file outside of the roots, no code that is not allowed."""

from __future__ import annotations

from datetime import date

import pytest

from handssl.errors import InputError
from handssl.service.queue.policy import Policy
from tests.service.services import study


def named(text: str) -> dict:
    return study(pretrain={"encoder": {"name": text}})


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "../x", "~/x", "a/b", "file:///etc/passwd", "s3://b/k", "C:\\x", "\0"]
)
def test_paths_outside_of_the_roots_are_refused(text, tmp_path):
    with pytest.raises(InputError, match=r"pretrain\.encoder\.name: expected a file below"):
        Policy(roots=(tmp_path,)).require(named(text))


def test_a_path_is_judged_by_where_it_leads(tmp_path):
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    allowed.mkdir(), secret.write_text("")
    (allowed / "link").symlink_to(secret)
    policy = Policy(roots=(allowed,))
    policy.require(named(str(allowed / "weights.safetensors")))
    for text in (allowed / "link", allowed / ".." / "secret", f"{allowed}x/y"):
        with pytest.raises(InputError):
            policy.require(named(str(text)))


@pytest.mark.parametrize("text", ["os:system", "labour:strike", "lab2.nets:small"])
def test_code_of_other_packages_is_refused_before_it_is_imported(text):
    with pytest.raises(InputError, match="allow-code"):
        Policy(modules=("lab",)).require(named(text))
    Policy(modules=("lab",)).require(named("lab.nets:small"))


def test_all_that_is_not_allowed_is_listed():
    values = study(pretrain={"encoder": {"name": "os:system"}}, data={"name": "/etc"})
    with pytest.raises(InputError, match=r"(?s)pretrain.*data"):
        Policy().require(values)


@pytest.mark.parametrize("value", [{"os:system"}, b"os:system", date(2001, 1, 1), object()])
def test_what_it_cannot_look_into_is_refused(value):
    values = study(pretrain={"augmentation": {"custom": value}})
    policy = Policy(modules=("os",))
    with pytest.raises(InputError, match=r"pretrain\.augmentation\.custom: expected a text"):
        policy.require(values)


def test_what_is_reported_a_study_full_of_mistakes_stays_short():
    with pytest.raises(InputError) as error:
        Policy().require({"x" * 100_000: ["/etc"] * 1000})
    assert len(str(error.value)) < 10_000


def test_studies_of_this_repository_are_allowed():
    from tune_spaces import compositions, demo, objectives, paper, published, smoke

    for module in (compositions, demo, objectives, paper, published, smoke):
        Policy().require(module.study().model_dump(mode="json"))
