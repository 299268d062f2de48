"""Tokens: two roles, shown once, kept as digests, ended at once."""

from __future__ import annotations

import sqlite3

import pytest

from handssl.errors import InputError
from handssl.service.queue.queue import Queue
from handssl.service.queue.tokens import Tokens


@pytest.fixture
def tokens(queue):
    return Tokens(queue.database)


def test_a_token_is_found_by_its_secret_until_it_is_revoked(tokens):
    assert not tokens.any()
    secret = tokens.create("ada", "submitter")
    assert tokens.any()
    assert (tokens.find(secret).name, tokens.find(secret).role) == ("ada", "submitter")
    assert tokens.find(secret + "x") is None
    tokens.revoke("ada")
    assert tokens.find(secret) is None
    assert tokens.any()  # to end the last one is to let nobody in
    assert [one.name for one in tokens.all()] == ["ada"]


def test_the_secret_is_nowhere_in_the_database(tmp_path):
    tokens = Tokens(Queue(f"sqlite:///{tmp_path}/q.db").database)
    secret = tokens.create("ada", "viewer")
    text = "".join(sqlite3.connect(tmp_path / "q.db").iterdump())
    assert "ada" in text
    assert secret not in text
    assert secret.removeprefix("handssl_") not in text


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [("Ada Lovelace", "viewer", "name"), ("", "viewer", "name"), ("ada", "admin", "role")],
)
def test_names_and_roles_are_checked(tokens, name, role, said):
    with pytest.raises(InputError, match=said):
        tokens.create(name, role)


def test_a_name_is_never_given_twice_so_that_jobs_keep_their_owner(tokens):
    tokens.create("ada", "viewer")
    tokens.revoke("ada")
    with pytest.raises(InputError, match="another name"):
        tokens.create("ada", "submitter")
    with pytest.raises(InputError, match="holds a token"):
        tokens.revoke("ada")
