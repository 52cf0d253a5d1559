"""What the gdb behind the bridge sources: it loads the search for frames, and answers questions about them.

The Python inside of gdb may be older than ours, and has none of our packages. So nothing of `inspector` is run but the
modules that are imported here, which need gdb and the standard library only: their packages are stood in for.
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import gdb

sys.dont_write_bytecode = True
_control = os.path.dirname(os.path.abspath(__file__))
for _name, _folder in (("inspector", os.path.dirname(_control)), ("inspector.control", _control)):
    _package = types.ModuleType(_name)
    _package.__path__ = [_folder]
    sys.modules[_name] = _package

from inspector.control import gdbframes  # noqa: E402  # its package is made above


def go_map_inspect_answer(shared: int) -> None:
    """Answer a question in JSON, which lies in a file that is open as `shared`; the answer takes its place."""
    asked = json.loads(os.pread(shared, os.fstat(shared).st_size, 0))
    functions: dict[str, Callable[[Any], Any]] = {"prepare": gdbframes.prepare, "search": gdbframes.search_and_go_back}
    try:
        said = {"answer": functions[asked["function"]](asked["question"])}
    except (gdb.error, RuntimeError) as error:
        said = {"problem": str(error)}
    os.ftruncate(shared, 0)
    os.pwrite(shared, json.dumps(said).encode(), 0)
