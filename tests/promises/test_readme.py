"""What the README shows works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from inspector import inspect, open_target
from inspector.cli.command import command

README = Path(__file__).parent.parent.parent / "README.md"


def test_every_option_of_the_help_is_in_the_readme():
    shown = CliRunner().invoke(command, ["--help"]).output
    options = set(re.findall(r"--[a-z-]+", shown)) - {"--help", "--version"}
    assert len(options) >= 9
    assert {option for option in options if f"`{option}" not in README.read_text()} == set()


def test_the_public_names_can_be_imported_first_of_all():
    code = "from inspector import Entry, Inspection, Target, inspect, open_target; print(inspect.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("inspect\n", "")


def test_the_python_example_works_after_the_target_is_closed(run):
    with open_target(str(run().pid)) as target:
        inspection = inspect(target, "main.doubleMiddle", entries=None)
    assert (inspection.judgement.verdict, inspection.account.state[:6]) == ("consistent", "double")
    assert inspection.account.live == len(list(inspection.entries())) == run().map("double_middle")["len"]
