"""The files themselves: headers that readers of ELF agree with, and what of /proc/PID/maps is in them."""

from __future__ import annotations

import io

import pytest
from elftools.elf.elffile import ELFFile

from inspector.copying.mappings import Held, parse_maps
from inspector.copying.plan import Plan, Segment
from inspector.coredump.writing import head, head_size

MAPS = """\
00400000-004e1000 r-xp 00000000 fe:00 1234   /srv/my service
004e1000-005f1000 r--p 000e1000 fe:00 1234   /srv/my service
005f1000-00601000 rw-p 001f1000 fe:00 1234   /srv/my service
00601000-00625000 rw-p 00000000 00:00 0
c000000000-c000400000 rw-p 00000000 00:00 0
c000400000-c004000000 ---p 00000000 00:00 0
7f0000000000-7f0000001000 rw-s 00000000 fe:00 77   /var/lib/database
7f0000002000-7f0000003000 rw-s 00000000 00:01 78   /dev/zero (deleted)
7f0000004000-7f0000005000 r--p 00000000 fe:00 79   /tmp/two\\012lines\\134
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0    [stack]
7ffc00030000-7ffc00034000 r--p 00000000 00:00 0    [vvar]
7ffc00036000-7ffc00038000 r-xp 00000000 00:00 0    [vdso]
ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0    [vsyscall]
"""


@pytest.mark.pure
def test_what_a_core_holds_of_each_mapping_is_what_the_kernel_would_dump():
    held = [(one.path, one.held) for one in parse_maps(MAPS) if one.in_core]
    assert held == [
        ("/srv/my service", Held.UNLESS_CHANGED),
        ("/srv/my service", Held.UNLESS_CHANGED),
        ("/srv/my service", Held.ALL),
        ("", Held.PRESENT),
        ("", Held.PRESENT),
        ("/var/lib/database", Held.NOTHING),
        ("/dev/zero (deleted)", Held.ALL),
        ("/tmp/two\nlines\\134", Held.UNLESS_CHANGED),
        ("[stack]", Held.PRESENT),
        ("[vdso]", Held.ALL),
    ]
    assert [one.held_unchanged for one in parse_maps(MAPS)[:2]] == [Held.FIRST_PAGE, Held.NOTHING]


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 0xFFFE, 0xFFFF, 70_000])
def test_any_number_of_mappings_has_its_headers(count):
    [mapping] = parse_maps("00601000-00602000 rw-p 00000000 00:00 0 \n")
    segments = [Segment(mapping, 4096, 4096 * number) for number in range(count)]
    plan = Plan(segments, [], "", [mapping])
    begin = head_size(plan, 0)
    assert begin % 4096 == 0
    data = head(plan, b"", begin)
    assert len(data) <= begin
    elf = ELFFile(io.BytesIO(data.ljust(begin, b"\0")))
    assert elf["e_type"] == "ET_CORE"
    assert elf.num_segments() == count + 1
    last = elf.get_segment(count)
    assert (last["p_type"], last["p_offset"]) == ("PT_LOAD", begin + 4096 * (count - 1))
