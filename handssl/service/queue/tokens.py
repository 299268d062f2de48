"""Access tokens with a role, created on the head and stored only as digests."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import exists, select, update

from handssl.errors import InputError
from handssl.runtime.database import Database
from handssl.service.queue.tables import tokens

Role = Literal["viewer", "submitter"]
ROLES: tuple[Role, ...] = get_args(Role)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Token:
    """A token without its secret.

    Attributes:
        id: Short id shown in lists.
        name: Name of its owner; the user of the jobs submitted with it.
        role: `viewer` may read, `submitter` may also submit jobs and control its own.
        created_s: Unix time of creation, seconds.
        revoked_s: Unix time at which it was revoked, seconds; None while valid.
    """

    id: str
    name: str
    role: Role
    created_s: float
    revoked_s: float | None


class Tokens:
    """The tokens in a queue's database.

    A token has 256 random bits, so it cannot be recovered from a plain digest.

    Args:
        database: Database of the queue.

    Example:
        >>> from handssl.service.queue.queue import Queue
        >>> tokens = Tokens(Queue("sqlite://").database)
        >>> secret = tokens.create("ada", "submitter")
        >>> tokens.find(secret).name
        'ada'
        >>> tokens.revoke("ada"); tokens.find(secret)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, role: str) -> str:
        """Create a token and return its secret, which cannot be shown again.

        Raises:
            InputError: The name is not valid or was used before, or there is no such role.
        """
        if role not in ROLES:
            raise InputError(f"role: expected {' or '.join(ROLES)}, got {role!r}")
        if not _NAME.fullmatch(name):
            raise InputError(
                f"name: expected lower-case letters, digits, dots and hyphens, got {name!r}"
            )
        identity, secret = secrets.token_hex(4), f"handssl_{secrets.token_urlsafe(32)}"
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            row = {"id": identity, "name": name, "role": role, "created_s": now_s}
            if connection.scalar(select(tokens.c.id).where(tokens.c.name == name)):
                raise InputError(f"name: {name!r} has a token, or had one; choose another name")
            connection.execute(tokens.insert().values(**row, digest=_digest(secret)))
        return secret

    def revoke(self, name: str) -> None:
        """Revoke a token, with immediate effect.

        Raises:
            InputError: There is no valid token of this name.
        """
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            held = (tokens.c.name == name, tokens.c.revoked_s.is_(None))
            if not connection.execute(update(tokens).where(*held).values(revoked_s=now_s)).rowcount:
                raise InputError(f"name: expected one that holds a token, got {name!r}")

    def find(self, secret: str) -> Token | None:
        """Return the token of a secret, None if it does not exist or was revoked."""
        with self._database.begin(reading=True) as connection:
            query = select(*_SHOWN).where(
                tokens.c.digest == _digest(secret), tokens.c.revoked_s.is_(None)
            )
            row = connection.execute(query).mappings().first()
        return Token(**row) if row else None

    def all(self) -> list[Token]:
        """Return every token, revoked ones too."""
        with self._database.begin(reading=True) as connection:
            rows = connection.execute(select(*_SHOWN).order_by(tokens.c.created_s)).mappings()
            return [Token(**row) for row in rows]

    def any(self) -> bool:
        """Return whether a token was ever created; if so, every request needs a valid one.

        Revoked tokens count: to revoke the last one locks all users out, it does not let all in.
        """
        with self._database.begin(reading=True) as connection:
            return bool(connection.scalar(select(exists().select_from(tokens))))


_SHOWN = [column for column in tokens.c if column.name != "digest"]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
