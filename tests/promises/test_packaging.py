"""What is installed is what is in the source: no module and no file is left out."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parent.parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("inspector", "gdb_plugin")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_modules_is_a_package(package):
    # setuptools leaves a folder without __init__.py out, and all that is below it.
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert len(folders) > 0
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_that_is_not_a_module_is_named_as_package_data(package):
    patterns = SETTINGS["tool"]["setuptools"]["package-data"].get(package, [])
    promised = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    # Extensions are built where they are installed.
    known = (".py", ".pyc", ".so")
    files = {path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix not in known}
    assert files == promised
