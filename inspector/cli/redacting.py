"""Hiding what maps hold: from the options to a redactor, and to messages that repeat nothing of the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inspector.errors import UsageError

OPTIONS = ("--redact", "--redact-key")
OF_THE_ENVIRONMENT = ("GO_MAP_INSPECT_REDACT", "GO_MAP_INSPECT_REDACT_KEY")
UNSAID = "(hidden)"
"""Stands for a word that is not repeated."""

WITH_KEYS = ("--key", "--group", "--map")
"""Options whose values may have keys of maps in them."""


@contextmanager
def redacting_as_asked(redact: bool, key_file: str | None) -> Iterator[None]:
    """Hide keys and elements in the block if the options say so; raises UsageError for a file that is no secret."""
    if not redact and key_file is None:
        yield
        return
    from inspector.gotypes.redaction import Redactor, redacting

    with redacting(Redactor.random() if key_file is None else Redactor.of(_secret(key_file))):
        yield


def _secret(path: str) -> bytes:
    from inspector.gotypes.redaction import LONGEST_SECRET
    from inspector.memory.files import open_file

    try:
        with open_file(path) as file:
            return file.read(LONGEST_SECRET + 1).strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a file"
        raise UsageError(f"the secret cannot be read from {path}: {why}", "name a file with --redact-key") from None


def asked_for() -> bool:
    """Whether the command line, or the environment, asks for it: also where the words could not be understood."""
    words = [word.partition("=")[0] for word in sys.argv[1:]]
    return any(option in words for option in OPTIONS) or any(os.environ.get(name) for name in OF_THE_ENVIRONMENT)


def without_typed_keys(message: str) -> str:
    """A message without the words of the command line that may be keys of maps, where values are to be hidden."""
    if not asked_for():
        return message
    for word in sorted(_secret_words(), key=len, reverse=True):
        for written in (word, repr(word)[1:-1], word[:40]):
            message = message.replace(written, UNSAID)
    return message


def _secret_words() -> Iterator[str]:
    before = ""
    for word in sys.argv[1:]:
        option, equals, value = word.partition("=")
        if before in WITH_KEYS:
            yield word
        elif option in WITH_KEYS and equals:
            yield value
        elif "[" in word and not word.startswith("map["):
            yield word[word.index("[") :]
        before = word
