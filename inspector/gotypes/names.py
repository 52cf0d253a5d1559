"""Type names as users, reflect and DWARF write them, brought to one form."""

from __future__ import annotations

import re
from urllib.parse import unquote

ALIASES = {"any": "interface {}", "byte": "uint8", "rune": "int32"}
"""Predeclared aliases: the runtime only knows what they stand for."""

SHAPE = "go.shape."
"""Marks types that stand for several in generic code: no map is ever made with them."""

_ALIAS = re.compile(r"(?<![\w./])(any|byte|rune)(?![\w.])")
_IMPORT_PATH = re.compile(r"(?:[\w.~%@+-]+/)+(?=[\w%.-]+\.)")
_SPACES = re.compile(r"\s+")
_PACKAGE_OF_FIELD = re.compile(r"(?<=[{;] )[\w%./~@+-]+\.(?=[^\W\d]\w* [^}\s;\"`])")
"""What the linker writes before names of fields that are not exported, in types without a name. reflect does not."""


def normalise(name: str) -> str:
    """Bring a type name to the runtime's spelling: no stray spaces, no aliases, no escaped dots."""
    text = _SPACES.sub(" ", name).strip()
    # The linker writes dots of an import path's last element as %2e.
    text = unquote(text) if "%" in text else text
    text = re.sub(r"interface ?\{ ?\}", "interface {}", text)
    text = re.sub(r"struct ?\{ ?\}", "struct {}", text)
    text = re.sub(r"\s*([\[\]*])\s*", r"\1", text)
    return _ALIAS.sub(lambda match: ALIASES[match.group(1)], text)


def without_packages_of_fields(name: str) -> str:
    """Bring the linker's name of a type with unnamed structs in it to the form that reflect prints."""
    return _PACKAGE_OF_FIELD.sub("", name)


def short_form(name: str) -> str:
    """Drop import paths: "map[string]*github.com/x/y.T" becomes "map[string]*y.T"."""
    return _IMPORT_PATH.sub("", name)
