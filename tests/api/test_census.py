"""A census in Python is a table that says what the JSON document says, can be compared, and can be saved."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from fixtures import SWISS_RELEASES, USUAL
from inspector import Census, MissingPackage, Target, UsageError, open_target, take_census
from inspector.cli.demo import open_demo
from inspector.cli.request import DemoCore
from inspector.gotypes.redaction import Redactor, redacting
from tests.support.census import differences
from tests.support.commandline import assert_running, cli_here
from tests.support.demo import Demo

BOTH = [pytest.param(each, id=each.name) for each in (USUAL, SWISS_RELEASES[-1])]
SUMS = ("maps", "entries", "bytes", "wasted", "growing", "inconsistent")


@pytest.fixture(scope="module")
def census(demo: Demo) -> Census:
    """That of the demo core."""
    return take_census(demo.target)


@pytest.fixture(scope="module")
def earlier() -> Census:
    """That of the earlier demo core."""
    with open_demo(which=DemoCore(earlier=True)) as opened:
        return take_census(opened.target)


@pytest.fixture(scope="module")
def document() -> dict:
    """What the command line says of both."""
    return cli_here("demo", "--diff", "--json").document


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", BOTH)
def test_the_table_of_maps_has_what_the_program_says_of_each(run, toolchain):
    running = run("census", toolchain)
    with open_target(running.pid, memory="direct") as target:
        census = target.census(max_share=None)
    assert differences(running.truth, census) == []
    table = census.to_pandas("map").set_index("address")
    told = {int(one["address"], 16): one for one in running.truth["maps"]}
    seen = table.loc[list(told), "count"]
    assert seen.to_dict() == {address: one["len"] for address, one in told.items()}
    for by in ("group", "type"):
        sums = census.to_pandas(by)[["maps", "entries", "bytes", "wasted"]].sum()
        assert sums.to_dict() == {
            "maps": len(table),
            "entries": table["count"].sum(),
            "bytes": table["bytes"].sum(),
            "wasted": table["wasted"].sum(),
        }
    assert_running(running)


@pytest.mark.pure
def test_tables_by_group_and_by_type_are_those_of_the_document(census, document):
    told = document["census"]
    for by, name in (("group", "groups"), ("type", "types")):
        table, rows = census.to_pandas(by), told[name]
        assert list(table[by]) == [row[by] for row in rows]
        for column in SUMS:
            assert list(table[column]) == [row[column] for row in rows]
    groups = census.to_pandas()
    assert list(groups["share"].round(6)) == [row["share"] for row in told["groups"]]
    assert list(groups["type"]) == [row["types"][0] for row in told["groups"]]


@pytest.mark.pure
def test_the_table_of_maps_is_that_of_the_document(census, document):
    table, rows = census.to_pandas("map"), document["census"]["maps"]
    for column in ("type", "count", "load", "growing", "verdict", "found_by"):
        assert list(table[column]) == [row[column] for row in rows]
    assert [f"{address:#x}" for address in table["address"]] == [row["address"] for row in rows]
    assert list(table["bytes"]) == [row["bytes"]["total"] for row in rows]
    assert list(table["name"].astype(object).where(table["name"].notna(), None)) == [row["name"] for row in rows]


@pytest.mark.pure
def test_a_diff_is_that_of_the_command_line(census, earlier, document):
    diff, told = census.diff(earlier), document["diff"]
    groups, maps = diff.to_pandas(), diff.to_pandas("map")
    assert len(told["groups"]) == len(groups) > 0
    for column in ("group", "held_by", "type", "maps", "entries", "bytes"):
        assert list(groups[column]) == [row[column] for row in told["groups"]]
    for side in ("before", "after"):
        assert list(groups[f"bytes_{side}"]) == [row[side]["bytes"] for row in told["groups"]]
        assert list(maps[f"count_{side}"]) == [row[side]["count"] if row[side] else 0 for row in told["changes"]]
    assert list(maps["bytes"]) == [row["bytes"] for row in told["changes"]]
    assert repr(diff) == "<diff: 4 groups changed, 2 did not, +17.7 KiB, maps matched by name>"
    assert "main.sessions" in diff._repr_html_()


@pytest.mark.pure
def test_a_saved_census_is_the_document_of_the_command_line_and_compares_alike(census, earlier, tmp_path):
    path = tmp_path / "before.json"
    earlier.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    saved = json.loads(path.read_text())
    told = cli_here("demo", "earlier", "--maps", "--json").document
    for one in (saved, told):
        # The demo is unpacked anew each time, and each census takes its own time.
        one["target"]["exe"] = one["census"]["timing"] = None
    assert saved == told
    for spelled in (path, str(path)):
        assert census.diff(spelled) == census.diff(earlier)
    with pytest.raises(UsageError, match=r"exists already .*force=True"):
        census.save(path)
    census.save(path, force=True)
    assert census.diff(path).changes == ()


@pytest.mark.pure
def test_what_is_no_saved_census_is_refused_with_what_to_try(census, tmp_path):
    other = tmp_path / "other"
    for content in ("", "\x7fELF", '{"target": {}}', "{"):
        other.write_text(content)
        with pytest.raises(UsageError, match=r"save one with: census.save\(path\)"):
            census.diff(other)
    with pytest.raises(UsageError, match="is not a saved census"):
        census.diff(tmp_path / "nothing")


@pytest.mark.pure
def test_a_census_with_hidden_keys_is_compared_with_its_own_kind_alone(census, demo, tmp_path):
    redactor, path = Redactor.random(), tmp_path / "hidden.json"
    with redacting(redactor):
        hidden = take_census(demo.target)
        hidden.save(path)
    for one, other in ((census, hidden), (hidden, census), (census, path)):
        with pytest.raises(UsageError, match="not hidden in the same way"):
            one.diff(other)
    assert hidden.diff(path).changes == ()
    with pytest.raises(UsageError, match="save it where it is taken"):
        hidden.save(path, force=True)


@pytest.mark.pure
def test_a_table_by_something_else_is_refused_and_the_choices_are_named(census):
    with pytest.raises(UsageError, match=r"by is 'name' .*'group', 'map', 'type'"):
        census.to_pandas("name")
    with pytest.raises(UsageError, match=r"by is 'type' .*'group', 'map'"):
        census.diff(census).to_pandas("type")


@pytest.mark.pure
def test_numbers_of_a_hostile_map_fit_into_a_table(census):
    first = replace(census.maps[0], address=(1 << 64) - 8, count=1 << 100)
    table = replace(census, maps=(first,)).to_pandas("map")
    assert isinstance(table, pd.DataFrame)
    assert (table["address"][0], table["count"][0]) == ((1 << 64) - 8, 1 << 100)


WITHOUT_PANDAS = """
import sys
sys.modules["pandas"] = None
from inspector import MissingPackage, Target, take_census
from inspector.cli.demo import open_demo
with open_demo() as opened:
    census = take_census(opened.target)
print(census, "numpy" in sys.modules, len(census._repr_html_()) > 500)
try:
    census.to_pandas()
except MissingPackage as error:
    print(isinstance(error, ImportError), error.package, error)
"""


@pytest.mark.pure
def test_without_pandas_all_else_works_and_the_error_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "<census: 6 maps, 234 entries, 23.5 KiB> True True"
    assert second.startswith("True pandas pandas cannot be imported: ")
    assert second.endswith("(pip install 'go-map-inspect[pandas]')")


@pytest.mark.pure
def test_a_census_loads_pandas_only_for_a_table():
    code = WITHOUT_PANDAS.replace('sys.modules["pandas"] = None', "").partition("try:")[0]
    code += 'print("pandas" in sys.modules); census.to_pandas(); print("pandas" in sys.modules)'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["False", "True"]


@pytest.mark.pure
def test_a_target_takes_its_own_census(demo, census):
    target = Target(**vars(demo.target))
    assert target.census().maps == census.maps
    assert repr(census) == "<census: 6 maps, 234 entries, 23.5 KiB>"
    assert repr(replace(census, partial=True)).endswith(", partial>")
    damaged = replace(census, maps=(replace(census.maps[0], verdict="inconsistent"),))
    assert repr(damaged) == "<census: 1 map, 209 entries, 21.8 KiB, 1 inconsistent>"
    assert MissingPackage("pandas", "pandas").extra == "pandas"
