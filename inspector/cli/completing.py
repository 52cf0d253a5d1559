"""TARGET and MAP as types of arguments: what the help calls them, and what a shell can complete them to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import rich_click as click
from click.shell_completion import CompletionItem

from inspector.cli.request import DEMO
from inspector.errors import InspectError

if TYPE_CHECKING:
    from inspector.image.elf import ElfImage


class TargetType(click.ParamType[str]):
    """A pid, a path, or the demo."""

    name = "pid|file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The verbs, the pids of Go programs, and files."""
        verbs = [DEMO, *getattr(ctx.command, "commands", ())]
        items = [CompletionItem(verb) for verb in dict.fromkeys(verbs) if verb.startswith(incomplete)]
        items += [CompletionItem(pid, help=exe) for pid, exe in _go_processes() if pid.startswith(incomplete)]
        return [*items, CompletionItem(incomplete, type="file")]


class ProcessType(click.ParamType[str]):
    """A pid."""

    name = "pid"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The pids of Go programs."""
        return [CompletionItem(pid, help=exe) for pid, exe in _go_processes() if pid.startswith(incomplete)]


class MapType(click.ParamType[str]):
    """A variable, or an address."""

    name = "name|address"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The package variables of a process, as its symbols name them."""
        target = str(ctx.params.get("target"))
        if not incomplete or not target.isdecimal():
            return []
        with suppress(InspectError, OSError), closing(_image(int(target))) as image:
            return [CompletionItem(name) for name in image.variables() if name.startswith(incomplete)]
        return []


def _image(pid: int) -> ElfImage:
    from inspector.image.elf import open_image
    from inspector.memory import procfs

    return open_image(procfs.executable_path(pid))


def _go_processes() -> Iterator[tuple[str, str]]:
    """Pids and executables of the Go programs that this user may look at."""
    from pathlib import Path

    from inspector.gotypes.render import plain
    from inspector.image.buildinfo import read_build_info

    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(InspectError, OSError), closing(_image(int(entry.name))) as image:
                read_build_info(image)
                # A shell prints it, and takes a line break for the end of the item.
                yield entry.name, plain(os.readlink(entry / "exe"))
