"""Libraries in C, where they were built: with instructions, or in fewer steps, than numpy has.

Everything works without them, several times as slowly. They know nothing of Python, so whatever Python loads them,
gdb's as well, need not be the one that they were built for.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SWITCH = "GO_MAP_INSPECT_KERNEL"
"""The environment variable that, set to "numpy", leaves all of them out."""

NUMPY = "numpy"

Signature = tuple[Sequence[Any], Any]
"""What a function is given and what it returns, in types of ctypes; None for nothing."""


def load(source: Path, interface: int, functions: Mapping[str, Signature]) -> tuple[ctypes.CDLL | None, str]:
    """The library that was built of a source beside it, with these functions; or None, and why there is none.

    `interface` is what its function gmi_interface has to return.
    """
    if os.environ.get(SWITCH) == NUMPY:
        return None, f"{SWITCH} asks for it"
    built = sorted(source.parent.glob(f"_{source.stem}.*.so"))
    if not built:
        return None, "the compiled one was not built"
    try:
        library = ctypes.CDLL(str(built[0]))
        if library.gmi_interface() != interface:
            return None, "the compiled one is of another version"
        for name, (given, returned) in functions.items():
            function = getattr(library, name)
            function.argtypes, function.restype = given, returned
    except (OSError, AttributeError) as error:
        return None, f"the compiled one cannot be loaded: {error}"
    return library, ""
