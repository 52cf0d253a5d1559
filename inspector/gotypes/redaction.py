"""Hides values from reports: a short hash stands for each key and each element.

The hash takes a key, so that nobody who has only the report can find a value by hashing guesses. Equal values have
equal hashes for as long as the key is the same: usually for one run, whose key is random and is kept nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from inspector.errors import UsageError
from inspector.gotypes.render import json_form
from inspector.gotypes.values import GoHidden, GoString, GoValue, Unreadable

KEY_BYTES = 32

SHORTEST_SECRET, LONGEST_SECRET = 16, 1 << 16
"""Bytes of a secret that is given: a short one can be guessed, and with it the values."""

DIGITS = 12
"""Hexadecimal digits of a hash: of a million different values two are equal once in 560 times."""

MARK = "#"
"""What a hash begins with where text is expected; no literal of Go has it outside of a string."""

UNSAID = "hidden"
"""Stands for what is not even hashed."""

_SALT, _PURPOSE = b"go-map-inspect redaction", b"which key"
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 1
"""What makes a guess of a secret take as long as 16 MiB of memory take to be filled."""


@dataclass(frozen=True)
class Redactor:
    """Hashes values with a key of KEY_BYTES bytes."""

    key: bytes

    @staticmethod
    def random() -> Redactor:
        """A redactor whose hashes nobody can repeat."""
        # Most requests hide nothing.
        import secrets

        return Redactor(secrets.token_bytes(KEY_BYTES))

    @staticmethod
    def of(secret: bytes) -> Redactor:
        """A redactor whose hashes whoever has the secret can repeat; raises UsageError for a short or huge one."""
        if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
            raise UsageError(
                f"the secret has {len(secret)} bytes, and has to have {SHORTEST_SECRET} to {LONGEST_SECRET:,}",
                "make one with: openssl rand -hex 32",
            )
        key = hashlib.scrypt(secret, salt=_SALT, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=KEY_BYTES)
        return Redactor(key)

    @property
    def key_id(self) -> str:
        """Says of two documents whether their hashes can be compared, and nothing of the key."""
        return self._hash(_PURPOSE, b"")

    def digest(self, value: GoValue, is_key: bool = False) -> str:
        """The hash of a value. What pointers lead to counts in elements only: a key is the address itself."""
        if isinstance(value, GoString):
            return self._hash(b"string", str(value.length).encode() + b" " + value.data)
        form = json_form(value)
        if is_key:
            form = _without_targets(form)
        return self._hash(b"value", json.dumps(form, ensure_ascii=True, allow_nan=False).encode())

    def hide(self, value: GoValue, is_key: bool = False) -> GoValue:
        """What is shown for a value: its hash, or that it could not be read, without the reason."""
        if isinstance(value, Unreadable):
            return Unreadable(UNSAID, value.late)
        return GoHidden(self.digest(value, is_key))

    def _hash(self, purpose: bytes, content: bytes) -> str:
        return hmac.new(self.key, purpose + b"\0" + content, hashlib.sha256).hexdigest()[:DIGITS]


def _without_targets(form: Any) -> Any:
    if isinstance(form, dict):
        return {name: _without_targets(part) for name, part in form.items() if name != "target" or "ptr" not in form}
    return [_without_targets(part) for part in form] if isinstance(form, list) else form


_redactor: ContextVar[Redactor | None] = ContextVar("redactor", default=None)


def current() -> Redactor | None:
    """Who hides values now; None where they are shown."""
    return _redactor.get()


@contextmanager
def redacting(redactor: Redactor | None) -> Iterator[None]:
    """Let a redactor hide values in whatever is inspected and reported in the block; None shows them."""
    token = _redactor.set(redactor)
    try:
        yield
    finally:
        _redactor.reset(token)


def typed(text: str) -> str:
    """A name as the user typed it, without the keys in its brackets where values are hidden."""
    before, bracket, _ = text.partition("[")
    return f"{before}[{UNSAID}]" if bracket and current() else text


def quoted_key(text: str) -> str:
    """A key as the user typed it, in quotes; where values are hidden it is not said."""
    return f"({UNSAID})" if current() else repr(text)


def bytes_of_memory(text: str) -> str:
    """Bytes of keys or elements, written as text; where values are hidden they are not said."""
    return f"({UNSAID})" if current() else text
