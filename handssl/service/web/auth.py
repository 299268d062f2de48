"""Authentication: a token in the header or the page's cookie; before any exists, loopback only."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from handssl.service.components import Service
from handssl.service.errors import ForbiddenError, UnauthorizedError
from handssl.service.queue.job import Job
from handssl.service.queue.tokens import Role

COOKIE = "handssl_token"
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HERE = ("127.0.0.1", "localhost", "::1")
bearer = HTTPBearer(auto_error=False, description="A token of `handssl token create`.")


@dataclass(frozen=True)
class Caller:
    """The user who sends a request.

    Attributes:
        user: Name of the token, or the name that a client on this machine gives itself.
        role: Role of the token, which determines the allowed requests.
        open: Whether no token is needed because none was ever created.
    """

    user: str
    role: Role
    open: bool = False

    def may_control(self, job: Job) -> None:
        """Refuse changes of another user's job.

        Raises:
            ForbiddenError: The job is not the caller's.
        """
        if not self.open and job.user != self.user:
            raise ForbiddenError(
                f"job {job.id} belongs to {job.user}; only they, or a shell on the head, may "
                "change it"
            )


def service_of(request: Request) -> Service:
    """Return the service a request is for."""
    found: Service = request.app.state.service
    return found


def viewer(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)] = None,
) -> Caller:
    """Return the caller of a request that only reads; any valid token is enough.

    Raises:
        UnauthorizedError: There is no token, or it is not valid or was revoked.
        ForbiddenError: The request comes from another site's page, or from another machine while no
            token exists.
    """
    tokens = service_of(request).tokens
    require_same_origin(request)
    secret = credentials.credentials if credentials else request.cookies.get(COOKIE, "")
    if secret:
        token = tokens.find(secret)
        if token is None:
            raise UnauthorizedError("this token is not valid, or was revoked")
        return Caller(token.name, token.role)
    if tokens.any():
        raise UnauthorizedError("expected a token, as `Authorization: Bearer TOKEN`")
    if not _comes_from_here(request):
        raise ForbiddenError(
            "until a token exists, only requests from this machine to its own name are allowed; "
            "create one on it with `handssl token create NAME --role submitter` and the --storage "
            "or --database of the service"
        )
    return Caller(_named(request), "submitter", open=True)


def submitter(caller: Annotated[Caller, Depends(viewer)]) -> Caller:
    """Return the caller of a request that submits or changes jobs.

    Raises:
        ForbiddenError: The caller's role may only read.
    """
    if caller.role != "submitter":
        raise ForbiddenError("this token may only read; changes need the role submitter")
    return caller


def _named(request: Request) -> str:
    name = request.headers.get("x-handssl-user", "local")
    return name if _USER.fullmatch(name) else "local"


def _comes_from_here(request: Request) -> bool:
    # The client chooses the Host header, so it proves nothing; it is checked because a page of
    # another site may point its own name here (DNS rebinding) and send from a local browser.
    name = _split("//" + request.headers.get("host", "")).hostname
    return name in _HERE and request.client is not None and _is_loopback(request.client.host)


def _is_loopback(text: str) -> bool:
    with suppress(ValueError):
        address = ip_address(text)
        inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (inner or address).is_loopback
    return False


def require_same_origin(request: Request) -> None:
    """Refuse a request that a page of another site has sent.

    Raises:
        ForbiddenError: The request's origin is another site.
    """
    origin = request.headers.get("origin")
    if request.method in ("GET", "HEAD", "OPTIONS") or not origin:
        return
    place = _split(origin).netloc
    if not place or place != request.headers.get("host"):
        raise ForbiddenError("this request comes from a page of another site")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


Looks = Annotated[Caller, Depends(viewer)]
Submits = Annotated[Caller, Depends(submitter)]
Here = Annotated[Service, Depends(service_of)]
