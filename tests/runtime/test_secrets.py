"""Texts that may hold a secret: what is hidden, what stays, what is refused."""

from __future__ import annotations

import pytest

from handssl.errors import InputError
from handssl.runtime.secrets import has_secret, masked, masked_url, require_no_secret

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ada:{SECRET}@db/x",
        f"postgresql+psycopg://ada:{SECRET}@db:5432/x?sslmode=require",
        f"postgresql://ada:{SECRET}/{SECRET}@{SECRET}@db/x",
        f"http://ada:{SECRET}@127.0.0.1:5000/api",
        f"HTTPS://{SECRET}@host",
        f"http://host/x?a=b&password={SECRET}&c=d",
        f"s3://key:{SECRET}@bucket/x",
        f"(psycopg.Error) connection to 'postgresql://ada:{SECRET}@db/x' failed",
        f"host=db user=ada password={SECRET} dbname=x",
        f"host=db password='a {SECRET}' dbname=x",
        f"Max retries exceeded with url: /api?token={SECRET} (Caused by ...)",
        f"{{'Authorization': 'Bearer {SECRET}{SECRET}'}}",
        f"MLFLOW_TRACKING_PASSWORD={SECRET} handssl study run",
        "handssl_" + f"{SECRET:-<43}",
    ],
)
def test_a_secret_is_hidden_wherever_it_stands_in_a_text(text):
    assert has_secret(text)
    assert SECRET not in masked(text)
    assert "***" in masked(text)
    assert not has_secret(masked(text))
    with pytest.raises(InputError) as error:
        require_no_secret("--database", text)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ada@lab/a:b/x.db",
        "postgresql://ada@db/x?host=/run/a@b",
        "http://127.0.0.1:5000/#/experiments/1?mail=ada@example.org",
        "hdfs://ada@namenode:8020/runs",
        "[::1]:6379",
        "http://[::1]:5000/x@y",
        "ada@example.org: 12 tokens, RAY_AUTH_MODE=token",
        "Written by `handssl token create ada --role viewer`",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text):
    assert masked(text) == text
    require_no_secret("--tracking-uri", text)


@pytest.mark.parametrize("url", [f"{SECRET}@db/x", f"postgres:/ada:{SECRET}@db/x"])
def test_what_was_meant_to_be_a_url_is_hidden_up_to_the_last_at_sign(url):
    assert masked_url(url) == "***@db/x"


def test_secrets_of_the_environment_are_hidden_in_any_form(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "a long/password")
    monkeypatch.setenv("HANDSSL_LEDGER", f"postgresql://ada:{SECRET}%21@db/x")
    said = f"said 'a long/password', a%20long%2Fpassword and {SECRET}!"
    assert masked(said) == "said '***', *** and ***"


def test_a_short_secret_of_the_environment_leaves_words_alone(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "study")
    assert masked("the study is over") == "the study is over"


@pytest.mark.parametrize(
    ("what", "url", "said"),
    [
        ("--tracking-uri", "http://ada:pw@m:5000/x", "write http://m:5000/x,"),
        ("--database", "postgresql://ada:pw@db/x?a=b", "write postgresql://ada@db/x?a=b,"),
        ("--database", "postgresql://db/x?user=ada&password=pw", "postgresql://db/x?user=ada,"),
    ],
)
def test_a_refusal_shows_the_url_to_write_instead(what, url, said):
    with pytest.raises(InputError, match="read -rs") as error:
        require_no_secret(what, url)
    assert said in str(error.value)
