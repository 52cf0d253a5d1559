"""What $gomap_get gives in real gdb: values with their types, which can be printed, cast, followed and compared."""

from __future__ import annotations

import re
import shutil

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from tests.support.commandline import assert_running
from tests.support.gdbsession import gdb

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

FAMILIES = [USUAL, SWISS_RELEASES[-1]]

SETTINGS = ("set language c", "set gomap pretty-print on")


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda each: each.name)
def typed(request):
    """The program with elements of many types."""
    with start(build("elements", request.param)) as running:
        yield running
        assert_running(running)


def values(running, *commands: str) -> list[str]:
    """What gdb prints, without the numbers of its value history."""
    said = gdb(*SETTINGS, *commands, on=("-p", running.pid))
    return [re.sub(r"^\$\d+ = ", "", text) for text in said[len(SETTINGS) :]]


def test_elements_have_their_types_and_can_be_followed(typed):
    cases = {
        'print *$gomap_get ("main.users", "ann")': '{name = "ann", age = 41, friends = 0x0}',
        'print $gomap_get ("main.users", "bob")->friends->array[0]->age + 1': "42",
        'print $gomap_get ("main.points", 7)': "{X = 1, Y = -2}",
        'print $gomap_get ("main.points", 7).Y': "-2",
        'print *&$gomap_get ("main.points", 7)': "{X = 1, Y = -2}",
        'print $gomap_get ("main.sizes", "small")': "200 '\\310'",
        'print $gomap_get ("main.sizes", "small") + 100': "300",
        'print/x $gomap_get ("main.sizes", "small")': "0xc8",
        'print $gomap_get ("main.ratios", "true") * 2': "1.5",
        'print $gomap_get ("main.open", -1)': "true",
        'print $gomap_get ("main.lists", "odd").array[2]': "5",
        'print $gomap_get ($gomap_get ("main.nested", "outer"), "inner")': "9",
        'print $gomap_len ($gomap_get ("main.nested", "outer"))': "1",
        'print $gomap_get ("main.wide", 3)[149]': "149 '\\225'",
        'print (long) $gomap_get ("main.big", 1)': "-1",
        'print $gomap_get ("main.big", 1) == 18446744073709551615': "1",
    }
    assert dict(zip(cases, values(typed, *cases), strict=True)) == cases


def test_strings_are_text_that_can_be_compared(typed):
    said = values(
        typed, 'print $gomap_get ("main.titles", "a")', 'print $_streq ($gomap_get ("main.titles", "a"), "x")',
        'print $_streq ($gomap_get ("main.titles", "a"), "first")',
    )  # fmt: skip
    assert said == ['"first"', "0", "1"]


def test_of_an_interface_the_value_inside_is_given(typed):
    cases = {
        'print $gomap_get ("main.anything", "number")': "12",
        'print $gomap_get ("main.anything", "text")': '"twelve"',
        'print $gomap_get ("main.anything", "pointer")->age': "41",
        'print $gomap_get ("main.anything", "struct").Y': "-2",
        'print $gomap_get ("main.anything", "nil")': "0",
        'print $gomap_get ("main.shapes", 1).X': "1",
    }
    said = values(typed, *cases)
    said[4] = "0" if re.fullmatch(r"0|\{_type = 0x0, data = 0x0\}", said[4]) else said[4]
    assert dict(zip(cases, said, strict=True)) == cases


def test_a_condition_may_look_into_an_element(typed):
    said = values(typed, 'print $gomap_get ("main.users", "ann")->age > 40 && $gomap_len ("main.big") == 1')
    assert said == ["1"]


@pytest.mark.slow
def test_types_come_from_the_packages_that_declare_them(typed):
    said = values(typed, 'print $gomap_get ("main.users", "ann")', 'print &$gomap_get ("main.seas", 1)')
    assert re.fullmatch(r"\(main\.user \*\) 0x[0-9a-f]+", said[0])
    assert re.fullmatch(r"\(fixtures/elements/far\.Sea \*\) 0x[0-9a-f]+", said[1])


@pytest.mark.slow
def test_without_dwarf_elements_are_numbers_and_text():
    with start(build("elements", SWISS_RELEASES[-1], ldflags="-w")) as running:
        points, sizes = (running.map(name)["address"] for name in ("points", "sizes"))
        said = gdb(
            f"print $gomap_get ({points}, 7)", f'print $gomap_get ({sizes}, "\\"small\\"")', on=("-p", running.pid)
        )
    assert said == ['$1 = "{X:1 Y:-2}"', "$2 = 200"]
