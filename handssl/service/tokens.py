"""Who may use the service: tokens with a role, made on the head, kept as digests alone."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import exists, select, update

from handssl.errors import InputError
from handssl.service.tables import tokens
from handssl.tracking.ledger.database import Database

Role = Literal["viewer", "submitter"]
ROLES: tuple[Role, ...] = get_args(Role)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Token:
    """A token without its secret.

    Attributes:
        id: For lists.
        name: Of whoever holds it; the user of the jobs submitted with it.
        role: `viewer` looks, `submitter` also submits, and controls jobs of its own.
        created_s: Unix time.
        revoked_s: When it ended, None while it holds.
    """

    id: str
    name: str
    role: Role
    created_s: float
    revoked_s: float | None


class Tokens:
    """The tokens in a queue's database.

    A token is 256 random bits, so a plain digest of it cannot be guessed back.

    Args:
        database: Of the queue.

    Example:
        >>> from handssl.service.queue import Queue
        >>> tokens = Tokens(Queue("sqlite://").database)
        >>> secret = tokens.create("ada", "submitter")
        >>> tokens.find(secret).name
        'ada'
        >>> tokens.revoke("ada"); tokens.find(secret)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, role: str) -> str:
        """Make a token and return it; it cannot be shown again.

        Raises:
            InputError: The name is none or taken, or there is no such role.
        """
        if role not in ROLES:
            raise InputError(f"role: expected {' or '.join(ROLES)}, got {role!r}")
        if not _NAME.fullmatch(name):
            raise InputError(
                f"name: expected small letters, digits, dots and hyphens, got {name!r}"
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
        """End a token, at once.

        Raises:
            InputError: Nobody of this name has one.
        """
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            held = (tokens.c.name == name, tokens.c.revoked_s.is_(None))
            if not connection.execute(update(tokens).where(*held).values(revoked_s=now_s)).rowcount:
                raise InputError(f"name: expected one that holds a token, got {name!r}")

    def find(self, secret: str) -> Token | None:
        """Return the token of a secret, None where it is none or was revoked."""
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
        """Say whether one was ever made; once so, nobody gets in without one that holds.

        Revoked ones count: to end the last one is to let nobody in, not everybody.
        """
        with self._database.begin(reading=True) as connection:
            return bool(connection.scalar(select(exists().select_from(tokens))))


_SHOWN = [column for column in tokens.c if column.name != "digest"]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
