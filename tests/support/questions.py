"""What the fixture program `questions` says of its maps."""

from __future__ import annotations

from typing import Any

from fixtures import Truth
from fixtures.running import find


def answer_of(truth: Truth, name: str) -> Any:
    """The program's own answer to one question."""
    return find(truth, name)["answer"]
