"""The names of the package: what can be imported, and what its page says of it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import inspector
from inspector import errors

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/python.md").read_text()

NOT_TO_BE_LOADED = {
    "inspector.__main__",
    "inspector.hashing._aes",
    "inspector.memory._join",
    *(f"inspector.control.gdb{name}" for name in ("frames", "noshell", "script", "values")),
}
"""The program itself, the compiled libraries, which hold no Python, and what is sent into gdb and needs its module."""

pytestmark = pytest.mark.pure


def family() -> dict[str, type[errors.InspectError]]:
    """Every error of the family that any module defines, by name, but for those whose names begin with _."""
    for module in pkgutil.walk_packages(inspector.__path__, "inspector."):
        if module.name not in NOT_TO_BE_LOADED:
            importlib.import_module(module.name)
    found, new = {errors.InspectError}, {errors.InspectError}
    while new:
        new = {below for each in new for below in each.__subclasses__()} - found
        found |= new
    # Those of tests and of the plugin for gdb are not the package's.
    ours = {each for each in found if each.__module__.startswith("inspector.")}
    assert len(ours) == len({each.__name__ for each in ours})
    return {each.__name__: each for each in ours if not each.__name__.startswith("_")}


def test_every_public_name_can_be_imported_and_listed():
    for name in inspector.__all__:
        assert getattr(inspector, name) is not None
    assert set(inspector.__all__) <= set(dir(inspector))


def test_every_error_of_the_family_is_a_public_name():
    assert len(family()) > 15
    assert {name: getattr(inspector, name) for name in family()} == family()


def test_the_page_has_every_error_with_its_base_and_its_exit_code():
    rows = re.findall(r"^\| `(\w+)` \| (`.+`) \| (\d) \|", PAGE, re.MULTILINE)
    assert {row[0]: row[1:] for row in rows} == {
        name: (", ".join(f"`{base.__name__}`" for base in each.__bases__), str(each.exit_code))
        for name, each in family().items()
    }


def test_the_version_is_the_projects():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert inspector.__version__ == told


def test_importing_the_package_loads_nothing_of_it():
    code = "import sys, inspector; print([name for name in sys.modules if name.startswith('inspector.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        inspector.nothing  # noqa: B018
