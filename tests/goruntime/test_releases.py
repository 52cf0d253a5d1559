"""What releases are called, and what their names say of how they were built."""

from __future__ import annotations

import pytest

from fixtures import Toolchain, build
from inspector.goruntime.releases import Release
from inspector.image.buildinfo import read_build_info
from inspector.image.elf import open_image


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "version", "experiments"),
    [
        ("go1.25.5", "go1.25.5", set()),
        ("go1.25.5 X:noswissmap", "go1.25.5", {"noswissmap"}),
        ("go1.25.5 X:noswissmap,greenteagc", "go1.25.5", {"noswissmap", "greenteagc"}),
        ("go1.26.6-X:nogreenteagc", "go1.26.6", {"nogreenteagc"}),
        ("go1.27.3-X:mapsplitgroup,simd", "go1.27.3", {"mapsplitgroup", "simd"}),
        ("devel go1.27-3f4e1ac Tue Mar 3 10:00:00 2026 -0700 X:simd", "go1.27", {"simd"}),
        ("go1.26-custom X", "go1.26", set()),
    ],
)
def test_a_version_names_its_experiments_behind_a_space_or_a_dash(text, version, experiments):
    release = Release.parse(text)
    assert (release.version, release.experiments) == (version, experiments)


@pytest.mark.parametrize(
    ("version", "experiment"), [("1.25.5", "greenteagc"), ("1.26.6", "nogreenteagc"), ("1.27.3", "nogreenteagc")]
)
@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
def test_programs_name_the_experiments_that_they_were_built_with(version, experiment, ldflags):
    image = open_image(build("unswept", Toolchain(version, experiment), ldflags=ldflags))
    try:
        release = read_build_info(image).release
    finally:
        image.close()
    assert (release.version, release.experiments) == (f"go{version}", {experiment})


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "inline"),
    [
        ("go1.24.11 X:greenteagc", False),
        ("go1.25.5", False),
        ("go1.25.5 X:greenteagc", True),
        ("go1.26.6", True),
        ("go1.26.6-X:nogreenteagc", False),
        ("go1.27.3", True),
        ("go1.28", True),
    ],
)
def test_green_tea_is_the_default_since_1_26(text, inline):
    assert Release.parse(text).marks_in_spans == inline
