"""The machine output's promise: every document that any command prints is held against the schema that it names."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema

SCHEMA = json.loads((files("inspector") / "report" / "schema.json").read_text())
PROMISED = jsonschema.Draft202012Validator(SCHEMA)


def promised(text: str) -> dict[str, Any]:
    """The document that a command printed, as JSON or as JSON lines; fails where it breaks its schema."""
    head, *lines = text.splitlines()
    if lines and head.endswith("}"):
        document = json.loads(head) | {"entries": [json.loads(line) for line in lines]}
    else:
        document = json.loads(text)
    if "entries_total" in document:
        # JSON lines of a map that shows no entries are a document without them.
        document.setdefault("entries", [])
    PROMISED.validate(document)
    return document
