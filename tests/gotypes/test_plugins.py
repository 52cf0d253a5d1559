"""Programs of several modules: types and functions of a plugin are found behind the executable's own."""

from __future__ import annotations

import shutil

import pytest

from fixtures import build, start
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import differences, document_of

CGO = {"CGO_ENABLED": "1"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="plugins are linked with the system's libraries, by gcc")
@pytest.mark.parametrize("ldflags", ["", "-s -w"], ids=["plain", "stripped"])
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_maps_that_a_plugin_made_are_identified_by_the_plugins_own_types(toolchain, ldflags):
    host = build("plugged", toolchain, env=CGO, ldflags=ldflags)
    addon = build("addon", toolchain, env=CGO, ldflags=ldflags, extra_flags=("-buildmode=plugin",))
    with start(host, str(addon)) as running, open_target(str(running.pid), memory="direct") as target:
        assert len(target.program.types.modules) == 2
        for name in ("own", "seats"):
            state = running.map(name)
            document = document_of(inspect(target, state["address"], entries=None))
            assert differences(document, state) == []
            assert document["hash_proof"]["matched"] == state["len"]
        state = running.map("actions")
        document = document_of(inspect(target, state["address"], state["type"], entries=None))
        assert document["entries"][0]["value"]["func"].endswith(".Fill")
        assert differences(document, state) == []
