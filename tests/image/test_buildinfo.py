"""Which release built a program: its build info, else the runtime's own version, held against the module data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fixtures import Toolchain, build, start
from fixtures.esbuild import esbuild, esbuild_program
from fixtures.npm import NotOnNpm
from inspector.errors import UnsupportedTarget
from inspector.image.buildinfo import MAGIC, read_build_info
from inspector.image.elf import open_image
from inspector.target.run import Run
from tests.support.targets import EACH_RECENT, opened_for_heap, opened_program

BUILDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stripped": {"ldflags": "-s -w"},
    "stripped-pie": {"ldflags": "-s -w", "extra_flags": ["-buildmode=pie"]},
}
LINKED: dict[str, dict[str, Any]] = {
    "external": {"ldflags": "-linkmode=external -s -w"},
    "external-pie": {"ldflags": "-linkmode=external -s -w", "extra_flags": ["-buildmode=pie"]},
}


def changed(program: Path, folder: Path, changes: dict[bytes, bytes]) -> Path:
    """A copy of a program with bytes overwritten, as packers do it; it runs as before."""
    copy = folder / program.name
    data = program.read_bytes()
    for old, new in changes.items():
        assert len(old) == len(new)
        assert old in data
        data = data.replace(old, new)
    copy.write_bytes(data)
    shutil.copymode(program, copy)
    return copy


def without_build_info(program: Path, folder: Path) -> Path:
    image = open_image(program)
    section = image.section(".go.buildinfo")
    place = section.offset, section.size
    image.close()
    copy = folder / program.name
    data = bytearray(program.read_bytes())
    data[place[0] : sum(place)] = bytes(place[1])
    assert MAGIC not in data[place[0] : sum(place)]
    copy.write_bytes(data)
    shutil.copymode(program, copy)
    return copy


@pytest.mark.parametrize("way", BUILDS)
@pytest.mark.parametrize("toolchain", EACH_RECENT)
def test_without_build_info_the_release_is_what_the_runtime_calls_itself(toolchain, way, tmp_path):
    copy = without_build_info(build("descriptors", toolchain, **BUILDS[way]), tmp_path)
    with start(copy) as running, opened_for_heap(running.pid) as target:
        program = target.program
        assert (program.release.version, program.build.by_runtime) == (f"go{toolchain.version}", True)
        assert "no build info" in Run(target, None).notes[0]
        told = running.truth["types"][0]
        assert program.types.get(int(told["address"], 16)).name == told["name"]


@pytest.mark.parametrize("way", LINKED)
def test_the_runtimes_version_is_found_in_externally_linked_programs(way, tmp_path):
    program = build("descriptors", Toolchain("1.27.3"), env={"CGO_ENABLED": "1"}, **LINKED[way])
    image = open_image(without_build_info(program, tmp_path))
    assert read_build_info(image).release.version == "go1.27.3"
    image.close()


@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
def test_without_build_info_experiments_are_known_from_the_version(ldflags, tmp_path):
    copy = without_build_info(build("unswept", Toolchain("1.26.6", "nogreenteagc"), ldflags=ldflags), tmp_path)
    image = open_image(copy)
    assert read_build_info(image).release.experiments == {"nogreenteagc"}
    image.close()


@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
def test_a_program_without_build_info_and_without_a_version_is_refused(ldflags, tmp_path):
    copy = without_build_info(build("descriptors", Toolchain("1.26.6"), ldflags=ldflags), tmp_path)
    blank = changed(copy, tmp_path, {b"go1.26.6": b"go-1266 "})
    image = open_image(blank)
    with pytest.raises(UnsupportedTarget, match=r"neither build info \(.go.buildinfo\) nor .*runtime.buildVersion"):
        read_build_info(image)
    image.close()


def test_a_version_that_the_module_data_contradicts_is_refused(tmp_path):
    copy = without_build_info(build("descriptors", Toolchain("1.27.3"), ldflags="-s -w"), tmp_path)
    other = changed(copy, tmp_path, {b"go1.27.3": b"go1.25.3"})
    with start(other) as running, opened_program(running) as program:
        assert program.release.version == "go1.25.3"
        with pytest.raises(UnsupportedTarget, match=r"was not found where go1\.25\.3 has it"):
            _ = program.types


@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
def test_a_release_newer_than_all_known_ones_is_tried_with_a_note(ldflags, tmp_path):
    newer = changed(build("descriptors", Toolchain("1.27.3"), ldflags=ldflags), tmp_path, {b"go1.27.3": b"go1.28.3"})
    with start(newer) as running, opened_for_heap(running.pid) as target:
        assert running.truth["go"] == "go1.28.3"
        assert target.program.release.unknown
        (note,) = Run(target, None).notes
        assert "go1.28.3 is newer than go1.27" in note
        assert "assumed to be unchanged" in note
        for told in running.truth["types"]:
            found = target.program.types.get(int(told["address"], 16))
            assert (found.name, found.size, found.direct_iface) == (told["name"], told["size"], told["direct"])


@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
def test_a_newer_release_whose_module_data_looks_different_is_refused(ldflags, tmp_path):
    newer = changed(build("descriptors", Toolchain("1.25.5"), ldflags=ldflags), tmp_path, {b"go1.25.5": b"go1.28.5"})
    reason = r"built by go1\.28\.5, .* does not have the layout of go1\.27"
    with start(newer) as running, opened_program(running) as program, pytest.raises(UnsupportedTarget, match=reason):
        _ = program.types


@pytest.mark.slow
def test_a_published_esbuild_of_go_1_26_without_build_info_is_opened():
    try:
        image = open_image(esbuild_program("go1.26.5"))
        assert image.section(".go.buildinfo") is None
        image.close()
        with esbuild("go1.26.5", {}) as pid, opened_for_heap(pid) as target:
            assert target.program.release.version == "go1.26.5"
            assert target.program.types.find_type("string").name == "string"
    except NotOnNpm as reason:
        pytest.skip(str(reason))
