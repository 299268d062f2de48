"""Secrets: allowed sources, and masking of texts that may hold one.

Input: a URL in an option or a file holds no password. Passwords come from the environment or from
files of mode 0600, such as `~/.pgpass`; only a database URL in an environment variable may hold
one. Output: text that is printed, logged, written or sent is `masked`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from handssl.errors import InputError

MASK = "***"
_VALUES = (
    "PGPASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "HANDSSL_TOKEN",
    "RAY_AUTH_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_DATABASES = ("HANDSSL_SERVICE_DATABASE", "HANDSSL_LEDGER")
SERVICE_ONLY = ("HANDSSL_SERVICE_DATABASE", "HANDSSL_TOKEN")
_SHORTEST = 8  # a shorter secret may be part of ordinary words

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_URL = re.compile(rf"({_SCHEME.pattern})://([^\s\"'`<>]+)")
_HOST = re.compile(r"[^:@]*(:\d*)?|\[[0-9A-Fa-f:.]+\](:\d*)?")
_DATABASE = re.compile(r"(?i)(postgres|mysql|mariadb|mssql|oracle)")
_NAMES = "password|passwd|pwd|token|secret|api_?key|access_?key|secret_?key|signature"
_PARAMETER = re.compile(rf"(?i)([\w-]*(?:{_NAMES})=)('[^']*'|[^&\s\"'`<>]+)")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic) +)[\w.~+/=-]{16,}")
_SIGNS = re.compile(r"://|=|(?i:bearer|basic) |handssl_")
_TOKEN = re.compile(r"\bhandssl_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")


def masked(text: str) -> str:
    """Return a text with passwords in URLs, tokens and known secrets replaced by `***`.

    Args:
        text: A URL, a message that quotes one, or a line of a log.

    Example:
        >>> masked("no answer of postgresql://ada:pw@db/x?sslpassword=pw and http://ada:pw@m:5000")
        'no answer of postgresql://ada:***@db/x?sslpassword=*** and http://ada:***@m:5000'
    """
    text = _without_patterns(text)
    for secret in _known():
        text = text.replace(secret, MASK)
    return text


def masked_url(url: str) -> str:
    """Return a URL with its secrets masked, even if it is malformed.

    Example:
        >>> masked_url("postgresql://ada:a b'c@db/x"), masked_url("postgres:/ada:pw@db/x")
        ('postgresql://ada:***@db/x', '***@db/x')
    """
    scheme, slashes, rest = url.partition("://")
    if slashes:
        return masked(f"{scheme}://{_hidden(scheme, rest)}")
    _, at, place = url.rpartition("@")
    return masked(f"{MASK}@{place}" if at else url)


def has_secret(text: str) -> bool:
    """Return whether a text holds a password or token that can be recognised.

    Example:
        >>> has_secret("postgresql://ada@db/x"), has_secret("postgresql://ada:pw@db/x")
        (False, True)
    """
    if not _SIGNS.search(text):  # a fast test that rules out most texts
        return False
    scheme, slashes, rest = text.partition("://")
    is_url = slashes and _SCHEME.fullmatch(scheme)
    return bool(is_url and _hidden(scheme, rest) != rest) or _without_patterns(text) != text


def require_no_secret(what: str, text: str) -> None:
    """Refuse a text with a secret: the process list, pages, logs and files would show it.

    Args:
        what: The option or argument.
        text: Its value.

    Raises:
        InputError: The text holds a secret. The message says where to put it instead.

    Example:
        >>> require_no_secret("--mlflow", "http://m:5000")
        >>> require_no_secret("--database", "postgresql://ada:pw@db/x")
        Traceback (most recent call last):
        handssl.errors.InputError: --database: expected no password or token, which the list of \
processes, pages and logs would show; got postgresql://ada:***@db/x; write postgresql://ada@db/x, \
and give the password in ~/.pgpass (mode 0600) or in the environment:
          read -rs PGPASSWORD && export PGPASSWORD
    """
    if has_secret(text):
        raise InputError(
            f"{what}: expected no password or token, which the list of processes, pages and logs "
            f"would show; got {masked_url(text)}; {_advice(what, text)}"
        )


def _advice(what: str, url: str) -> str:
    scheme = url.partition("://")[0].lower()
    if _DATABASE.match(scheme):
        return (
            f"write {_bare(url)}, and give the password in ~/.pgpass (mode 0600) or in the "
            "environment:\n  read -rs PGPASSWORD && export PGPASSWORD"
        )
    if what in ("--tracking-uri", "tracking_uri", "--mlflow"):
        return (
            f"write {_bare(url)}, and give name and password in the environment:\n"
            "  read -r MLFLOW_TRACKING_USERNAME && export MLFLOW_TRACKING_USERNAME\n"
            "  read -rs MLFLOW_TRACKING_PASSWORD && export MLFLOW_TRACKING_PASSWORD"
        )
    if what == "--ray":
        return "name a file with the token in the environment, as RAY_AUTH_TOKEN_PATH"
    if "service" in what:
        return f"write {_bare(url)}, and give a token in the environment, as HANDSSL_TOKEN"
    return "give it in the environment, as the library that needs it reads it"


def _bare(url: str) -> str:
    """Return a URL without its secrets, to be used in its place."""
    text = masked_url(url)
    kept = r"\1@" if _DATABASE.match(url) else ""
    text = re.sub(rf"(?<=//)([^/@:]*):?{re.escape(MASK)}@", kept, text)
    text = re.sub(rf"(?<=[?&])[^?&=]+={re.escape(MASK)}&?", "", text)
    return text.rstrip("?&")


def _without_patterns(text: str) -> str:
    if "://" in text:
        text = _URL.sub(lambda found: f"{found[1]}://{_hidden(found[1], found[2])}", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    return _TOKEN.sub(f"handssl_{MASK}", _BEARER.sub(rf"\1{MASK}", text))


def _hidden(scheme: str, rest: str) -> str:
    """Return what follows `scheme://` without its password, encoded or not."""
    person, at, place = rest.rpartition("@")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not at or rest.startswith("/"):
        return rest
    # Database drivers accept `/` in a password; elsewhere host and path look just like that.
    if "@" not in authority and not _DATABASE.match(scheme) and _HOST.fullmatch(authority):
        return rest
    name, colon, _ = person.partition(":")
    if colon:
        return f"{name}:{MASK}@{place}"
    # For a web server a name alone is a token; for a database it is the user.
    return f"{MASK}@{place}" if scheme.lower() in ("http", "https") else rest


def _known() -> Iterator[str]:
    """Yield the secrets of this process's environment, plain and URL-encoded."""
    values = {os.environ.get(name, "") for name in _VALUES}
    values |= {_password(os.environ.get(name, "")) for name in _DATABASES}
    for secret in sorted(values, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            yield from {secret, quote(os.fsencode(secret), safe="")}


def _password(url: str) -> str:
    person, at, _ = url.partition("://")[2].rpartition("@")
    return unquote(person.partition(":")[2]) if at else ""


def without_service_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a program started by the service, without unneeded secrets.

    Args:
        environment: The service's environment variables.

    Example:
        >>> without_service_secrets({"HANDSSL_TOKEN": "t", "PGPASSWORD": "p", "HOME": "/home/ada"})
        {'HOME': '/home/ada'}
    """
    needs_databases = environment.get("HANDSSL_LEDGER", "").startswith("postgres")
    left_out = SERVICE_ONLY if needs_databases else (*SERVICE_ONLY, "PGPASSWORD")
    return {name: value for name, value in environment.items() if name not in left_out}
