"""How every JSON document is written: ASCII alone, and nothing that a strict reader of JSON refuses."""

from __future__ import annotations

import json
import re
from typing import Any

from inspector.gotypes.redaction import current

_SURROGATES = re.compile(r"(\\\\)|(\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\u(d[89a-f][0-9a-f]{2})")
"""In JSON: an escaped backslash, a pair that stands for one character, one half alone."""

FIRST_BYTE = 0xDC00
"""os.fsdecode, and surrogateescape, make this and the byte of one that is not UTF-8."""


def dumps(form: Any) -> str:
    r"""A document or a part of one as JSON on one line.

    Bytes that are not UTF-8 in the names of files, types and functions are written as \xff, as in text: half of a pair
    of surrogates is no character, and some readers refuse the whole document.
    """
    text = json.dumps(form, ensure_ascii=True, allow_nan=False)
    return _SURROGATES.sub(_spelled, text) if "\\ud" in text else text


def redaction_form() -> dict[str, Any]:
    """What a document says of the values that are hidden in it; nothing where they are shown."""
    redactor = current()
    return {"redacted": {"key_id": redactor.key_id}} if redactor else {}


def _spelled(match: re.Match[str]) -> str:
    alone = match[3]
    if alone is None:
        return match[0]
    byte = int(alone, 16) - FIRST_BYTE
    return f"\\\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\\\u{alone}"
