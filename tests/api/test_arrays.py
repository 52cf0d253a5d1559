"""A map as a table in Python: arrays of numpy, tables of Arrow, data frames."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, USUAL
from inspector import InspectError, open_target
from inspector.gotypes.redaction import Redactor, redacting
from inspector.gotypes.values import GoHidden

FAMILIES = [pytest.param(toolchain, id=toolchain.name) for toolchain in (USUAL, SWISS_RELEASES[-1])]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_arrays_hold_what_the_program_made(run, toolchain):
    with open_target(run("columns", toolchain).pid, memory="direct") as target:
        numbers = target.map("main.manyNumbers", max_stop=None).to_numpy()
        texts = target.map("main.manyTexts", max_stop=None).to_numpy()
        people = target.map("main.manyPeople", max_stop=None).to_numpy()
        times = target.map("main.times", max_stop=None).to_numpy()
        arrays = target.map("main.arrays", max_stop=None).to_numpy()
    assert (numbers["key"].dtype, numbers["value"].dtype) == (np.int64, np.float64)
    assert (int(numbers["key"].sum()), float(numbers["value"].sum())) == (-10000, sum(range(20000)) / 4)
    assert dict(zip(texts["key"], texts["value"], strict=True)) == {f"key-{i}": f"value-{i}" for i in range(20000)} | {
        "not plain": '"\udcfe"'
    }
    assert isinstance(people["value.Name"], np.ma.MaskedArray)
    assert int(people["value.Name"].mask.sum()) == 1
    assert {int(key): name for key, name in zip(people["key"], people["value.Name"].tolist(), strict=True)} == {
        i: f"person-{i}" for i in range(20000)
    } | {20000: None}
    moments = dict(zip(times["key"], times["value"].tolist(), strict=True))
    assert (moments["zero"], moments["before"]) == (None, -1)
    assert set(arrays["key"]) == {(1, -2, 3), (0, 0, 0)}


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_a_table_of_arrow_is_the_same(run, toolchain):
    pytest.importorskip("pyarrow")
    with open_target(run("columns", toolchain).pid, memory="direct") as target:
        for name in ("manyNumbers", "manyTexts", "people", "none", "nothing"):
            mapping = target.map(f"main.{name}", max_stop=None)
            table, arrays = mapping.to_arrow(), mapping.to_numpy()
            assert table.num_rows == len(mapping)
            assert table.column_names == list(arrays)
            if name == "manyNumbers":
                assert table["value"].to_pylist() == arrays["value"].tolist()


def test_a_data_frame_is_the_same(run):
    pytest.importorskip("pandas")
    with open_target(run("columns").pid, memory="direct") as target:
        frame = target.map("main.manyNumbers", max_stop=None).to_pandas()
    assert (int(frame["key"].sum()), float(frame["value"].sum())) == (-10000, sum(range(20000)) / 4)


@pytest.mark.pure
@pytest.mark.parametrize(("package", "method"), [("pyarrow", "to_arrow"), ("pandas", "to_pandas")])
def test_what_is_not_installed_is_said(demo, monkeypatch, package, method):
    from inspector import inspect
    from inspector.api import GoMapping

    monkeypatch.setitem(sys.modules, package, None)
    mapping = GoMapping(inspect(demo.target, demo.variable, demo.type_name, entries=None))
    with pytest.raises(InspectError, match=f"{package} cannot be imported"):
        getattr(mapping, method)()
    assert int(mapping.to_numpy()["value"].sum()) == sum(mapping.values())


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_hidden_values_are_hidden_in_tables(run, toolchain):
    running = run("secrets", toolchain)
    with open_target(running.pid, memory="direct") as target, redacting(Redactor.random()):
        for state in running.truth["maps"]:
            mapping = target.map(state["variable"], max_stop=None)
            columns = mapping.to_numpy()
            assert set(columns) & {"key", "value"} == {"key", "value"}
            assert all(isinstance(key, GoHidden) for key in columns["key"])
            assert "zqsecret" not in repr(columns)
