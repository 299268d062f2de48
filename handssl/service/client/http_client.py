"""Client of the service's HTTP API, which raises refusals as handssl's errors."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from handssl.errors import InputError
from handssl.runtime.secrets import require_no_secret
from handssl.runtime.shell_commands import command, default_service
from handssl.service.errors import (
    ForbiddenError,
    NoSuchJobError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)
from handssl.service.queue.job import JobRequest

_TIMEOUT_S = 30.0
REPORT_TIMEOUT_S = 330.0  # the service makes the report of a large study first
_TRIAL = "trial: "  # begins what the service says of an unknown trial
_TOKEN = re.compile(r"[!-~]+")
_COMMANDS = re.compile(r"`handssl jobs ([a-z0-9 .+-]+)`")
_USER = re.compile(r"[A-Za-z0-9._-]+")
_AWAY = (502, 503, 504)
_REFUSALS: dict[int, type[Exception]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    409: InputError,
    413: InputError,
    422: InputError,
    **dict.fromkeys(_AWAY, UnavailableError),
}
_NO_URL = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


class Client:
    """Client of a service.

    Args:
        service: Its URL; default: $HANDSSL_SERVICE, else this machine's.
        token: Token to authenticate with; default: $HANDSSL_TOKEN.
    """

    def __init__(self, service: str | None = None, token: str | None = None) -> None:
        self.url = (service or default_service()).rstrip("/")
        require_no_secret("--service", self.url)
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment never sees the token
        if secret := token or os.environ.get("HANDSSL_TOKEN"):
            self._session.headers["Authorization"] = f"Bearer {_checked(secret)}"
        self._session.headers["X-Handssl-User"] = _me()

    def ask(self, method: str, path: str, *, timeout_s: float = _TIMEOUT_S, **values: Any) -> Any:
        """Send a request and return the JSON document of the response.

        Args:
            method: Method of the request.
            path: Path below `/api`.
            timeout_s: Longest time without an answer, seconds.
            values: Further arguments of the request.

        Raises:
            UnavailableError: The service or its database is not reachable.
            ServiceError: The response does not come from handssl's service.
            InputError: The request was refused as invalid, or the URL is not valid.
            UnauthorizedError: The token is missing or not valid.
            ForbiddenError: The token does not allow this request.
        """
        answer = self._send(method, path, timeout_s=timeout_s, **values)
        document = self._document(answer)
        if not answer.ok:
            raise self._refusal(answer, document, path)
        return document

    @contextmanager
    def open(
        self, path: str, *, headers: Mapping[str, str], **values: Any
    ) -> Iterator[requests.Response]:
        """Send a GET request and yield the response, whose content has not been read.

        Args:
            path: Path below `/api`.
            headers: Further headers; a range that is not there is no error.
            values: Further arguments of the request.

        Raises:
            HandsslError: See `ask`.
        """
        # Compressed content could be neither continued nor counted.
        headers = {**headers, "Accept-Encoding": "identity"}
        with self._send(
            "GET", path, timeout_s=REPORT_TIMEOUT_S, headers=headers, stream=True, **values
        ) as answer:
            is_range = answer.status_code == requests.codes.requested_range_not_satisfiable
            if not answer.ok and not is_range:
                raise self._refusal(answer, self._document(answer), path)
            yield answer

    def _send(
        self, method: str, path: str, *, timeout_s: float, **values: Any
    ) -> requests.Response:
        try:
            url = f"{self.url}/api{path}"
            return self._session.request(method, url, timeout=(_TIMEOUT_S, timeout_s), **values)
        except _NO_URL:
            raise InputError(f"--service: expected http://HOST:PORT, got {self.url}") from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"{self.url} does not answer ({_reason(error)}); is it running (`handssl serve`), "
                "and is --service correct?"
            ) from None

    def _refusal(self, answer: requests.Response, document: Any, path: str) -> Exception:
        detail = str(document.get("detail", answer.reason)) if isinstance(document, dict) else ""
        if answer.status_code == 404 and detail.startswith(_TRIAL):
            return InputError(detail)
        if answer.status_code == 404 and path.startswith("/jobs/"):
            listing = command("jobs", "list", service=self.url)
            return NoSuchJobError(path.split("/")[2], listing)
        return _REFUSALS.get(answer.status_code, ServiceError)(self._for_here(detail))

    def _for_here(self, text: str) -> str:
        """Add this service's URL to the commands in a response; the service does not know it."""

        def whole(found: re.Match[str]) -> str:
            return f"`{command('jobs', *found[1].split(), service=self.url)}`"

        return _COMMANDS.sub(whole, text)

    def _document(self, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except requests.JSONDecodeError:
            pass
        if answer.status_code in _AWAY:  # from a proxy, with its own text
            raise UnavailableError(f"{self.url} answers {answer.status_code} {answer.reason}")
        raise ServiceError(f"{self.url}: expected handssl's service, got another server")

    def submit(self, requests_: list[JobRequest]) -> list[dict[str, Any]]:
        """Queue studies, all or none; return the jobs as JSON documents."""
        jobs = [one.model_dump(mode="json") for one in requests_]
        found: list[dict[str, Any]] = self.ask("POST", "/jobs/batch", json={"jobs": jobs})
        return found


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise InputError(
            "HANDSSL_TOKEN: expected a token as printed by `handssl token create`, got one with "
            "invalid characters"
        )
    return token


def _me() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return "local"
    return name if _USER.fullmatch(name) else "local"


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "connection refused" if "refused" in str(error) else type(error).__name__
