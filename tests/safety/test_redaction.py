"""Nothing that a map holds is in any report that hides it: every output is searched for texts that the program has."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, USUAL
from tests.support.commandline import Answer, assert_refused, cli_here
from tests.support.gdbsession import gdb

TEXT, NUMBER, NUMBERS = b"zqsecret", 7246914350, 30
"""What fixtures/programs/secrets has in all its keys and elements: a text, and so many numbers from NUMBER on."""

USER = "zqsecret-key-7"


@dataclass(frozen=True)
class Subject:
    """A core of the program, and a process that runs it."""

    core: Path
    pid: int

    def questions(self) -> Iterator[tuple[str | int | Path, ...]]:
        """The words of many commands: every view, every form, and what is refused."""
        core = self.core
        for words in (
            (),
            ("--maps", "--top", "all"),
            ("--json",),
            ("--group", "main.byTenant[*]"),
            ("--strings", "-v"),
        ):
            yield core, *words
        for name in ("byUser", "byName", "byID", "byLong", "byOwner", "cards", "hostile", "shared"):
            yield core, f"main.{name}", "--entries", "all", "-v"
            yield core, f"main.{name}", "--entries", "all", "--json"
        yield core, "main.byUser", "--ndjson"
        yield core, f'main.byTenant["{USER}"]'
        yield core, f'main.byTenant["{USER}"]', "--json"
        yield core, f"main.byID[{NUMBER}]"
        yield core, f'main.shared["{USER}"]'
        yield core, "main.shared", "--key", f'"{USER}"'
        yield core, f'main.byOwner[{{"{USER}", {NUMBER}}}]', "--key", f'"{USER}"'
        for form in ((), ("--json",)):
            yield core, "main.byUser", "--key", USER, *form
            yield core, "main.byUser", "--key", f"{USER}-absent", *form
            yield "diff", core, self.pid, "--map", "main.byUser", *form
            yield "diff", core, self.pid, *form
        yield core, "--retained"
        yield core, "--unproven", "--json"
        yield core, "--sort", "waste"
        yield core, "main.byUser", "--retained", "--json"
        # What is refused.
        for options in (("--grep", "zq"), ("--duplicates",), ("--top-entries", "3")):
            yield core, "main.byUser", *options
        yield core, "--grep", "zq", "--json"
        yield core, "--duplicates"
        yield core, "main.byUser", "--key", f'"{USER}'
        yield core, "main.byUser", "--key", f'"\\{USER}"'
        yield core, "main.cards", "--key", f"{USER}"
        yield core, "main.byID", "--key", f"{NUMBER}00000000000"
        for name in (
            f'byTenant["{USER}x"]', f'byTenant[{USER}]', f'byTenant["{USER}"', f'byTenant["{USER}"].field',
            f'byNobody["{USER}"]', f'byUser["{USER}"].Notes["{USER}"]', f'byUser["{USER}"]:x["{USER}"]',
        ):  # fmt: skip
            yield core, f"main.{name}"
        yield core, "--group", f'main.byTenant["{USER}"].x'
        yield core, "main.byUser", f'main.byTenant["{USER}"]'
        yield core, "main.byUser", "--key", USER, "--top", f'"{USER}"'

    @property
    def exe(self) -> Path:
        """The executable of both."""
        return Path(f"/proc/{self.pid}/exe").resolve()


@pytest.fixture(scope="module", params=[USUAL, SWISS_RELEASES[-1]], ids=["classic", "swiss"])
def subject(request, run, crash) -> Subject:
    """The program with secrets, of each family of maps."""
    return Subject(crash("secrets", request.param).path, run("secrets", request.param).pid)


def forms() -> Iterator[bytes]:
    """Every form that a secret could be written in."""
    yield TEXT
    for skipped in range(3):
        encoded = base64.b64encode(b"x" * skipped + TEXT)
        yield encoded[4 if skipped else 0 : -4]
    for separator in (", ", " ", ","):
        yield separator.join(map(str, TEXT)).encode()
    yield TEXT.hex().encode()
    yield TEXT.hex(" ").encode()
    yield struct.pack("<Q", int.from_bytes(TEXT, "little")).hex().encode()
    yield f"{int.from_bytes(TEXT, 'little'):x}".encode()
    yield str(NUMBER)[:-2].encode()
    # All of their digits: a few of them are in random hashes and addresses by chance.
    for number in range(NUMBER, NUMBER + NUMBERS):
        yield f"{number:x}".encode()


def found_in(text: str) -> list[bytes]:
    """The forms of secrets that a text has, whatever separates digits in it."""
    plain = text.encode(errors="surrogateescape").lower()
    return [form for form in forms() if form.lower() in plain or form.lower() in plain.replace(b",", b"")]


def asked(words: tuple[object, ...], *more: object) -> Answer:
    """What the command line answers."""
    return cli_here(*words, *more)


@pytest.mark.slow
def test_nothing_that_a_map_holds_is_in_any_output(subject):
    seen, shown = 0, 0
    for words in subject.questions():
        answer = asked(words, "--redact")
        assert "internal error" not in answer.err, (words, answer)
        assert found_in(answer.out + answer.err) == [], words
        seen += 1
        shown += "#" in answer.out or '"hidden"' in answer.out
    assert seen > 45
    assert shown > 25


@pytest.mark.parametrize("options", [("--grep", "zq"), ("--duplicates",), ("--top-entries", "3")])
def test_what_asks_for_contents_is_refused_where_they_are_hidden(subject, options):
    assert_refused(asked((subject.core, "main.byUser", *options), "--redact"), options[0], "--redact hides it")


def test_the_search_finds_what_is_not_hidden(subject):
    for words in (("--maps", "--top", "all"), ("main.byUser", "--json"), ("main.byUser", "--key", f"{USER}")):
        assert TEXT in found_in(asked((subject.core, *words)).out)
    text = asked((subject.core, "main.cards", "--entries", "all")).out
    assert " ".join(map(str, TEXT)).encode() in found_in(text)


def test_hashes_of_one_secret_can_be_compared_and_given_back_as_names(subject, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret that is long enough")
    key = ("--redact-key", secret)
    census = asked((subject.core, "--json"), *key).document
    entries = asked((subject.core, "main.byTenant", "--entries", "all", "--json"), *key).document["entries"]
    names = {one["name"] for one in census["census"]["maps"] if (one["name"] or "").startswith("main.byTenant[")}
    assert names == {f"main.byTenant[#{entry['key']['hidden']}]" for entry in entries}
    assert len(names) == 30
    name = min(names)
    one = asked((subject.core, name, "--json"), *key).document
    assert one["map"]["name"] == name
    assert one["map"]["count"] == 1
    # A key that is an element, too, has one hash.
    assert {one["entries"][0]["key"]["hidden"]} == {name[len("main.byTenant[#") : -1]}
    looked_up = asked((subject.core, "main.byTenant", "--key", USER, "--json"), *key).document["lookup"]
    assert looked_up["key"].removeprefix("#") in {entry["key"]["hidden"] for entry in entries}
    assert census["redacted"] == one["redacted"]
    other = asked((subject.core, "--json", "--redact")).document
    assert other["redacted"] != census["redacted"]
    assert names.isdisjoint(row["name"] for row in other["census"]["maps"])


def test_censuses_are_compared_only_where_their_hashes_can_be(subject, tmp_path):
    secret, plain, hidden = tmp_path / "secret", tmp_path / "plain.json", tmp_path / "hidden.json"
    secret.write_text("a secret that is long enough")
    key = ("--redact-key", secret)
    plain.write_text(asked((subject.core, "--json")).out)
    hidden.write_text(asked((subject.core, "--json"), *key).out)
    assert asked((subject.core, "--diff", hidden, "--json"), *key).document["diff"]["changes"] == []
    both = asked(("diff", hidden, hidden, "--json")).document
    assert both["diff"]["changes"] == []
    assert both["redacted"] == json.loads(hidden.read_text())["redacted"]
    assert_refused(asked((subject.core, "--diff", hidden)), "were hidden", "--redact-key")
    assert_refused(asked((subject.core, "--diff", hidden, "--redact")), "were hidden", "--redact-key")
    assert_refused(asked((subject.core, "--diff", plain), *key), "was saved without --redact")
    assert_refused(asked(("diff", plain, plain), *key), "was saved without --redact")
    assert_refused(asked(("diff", plain, hidden)), "was saved without --redact")
    short = tmp_path / "short"
    short.write_text("guessed")
    assert_refused(asked((subject.core, "--redact-key", short)), "7 bytes", "openssl rand")
    assert_refused(asked((subject.core, "--redact-key", tmp_path / "nothing")), "cannot be read")


def test_findings_hide_the_bytes_that_they_show(subject, tmp_path):
    whole = bytearray(subject.core.read_bytes())
    [found] = [each.start() for each in re.finditer(re.escape(struct.pack("<Q", 0) + TEXT + b"-card-0\0"), whole)]
    # The first slot of a group becomes an empty one, behind its control bytes; the first cell of a bucket has another
    # tophash, before its eight keys.
    swiss = asked((subject.core, "main.cards", "--json")).document["map"]["family"] == "swiss"
    if swiss:
        whole[found - 8] = 0x80
    else:
        whole[found + 8 - 72] ^= 1
    damaged = tmp_path / "core"
    damaged.write_bytes(whole)
    answer = asked((damaged, "main.cards", "--exe", subject.exe), "--redact", "--json")
    assert answer.code == 1
    assert found_in(answer.out + answer.err) == []
    if swiss:
        [left] = [each for each in answer.document["findings"] if each["rule"] == "G3"]
        assert "(hidden)" in left["observed"]
        shown = asked((damaged, "main.cards", "--exe", subject.exe))
        assert TEXT.hex() in shown.out


def test_a_core_cannot_be_redacted(subject, tmp_path):
    answer = asked(("snapshot", subject.pid, "-o", tmp_path / "core"), "--redact")
    assert_refused(answer, "a core dump cannot be redacted", "--json --redact")
    assert not (tmp_path / "core").exists()


def test_the_commands_of_gdb_hide_what_maps_hold(subject):
    commands = ("info gomap main.byUser -redact", "info gomap main.byUser -redact -json",
                f"info gomap main.byUser -key {USER} -redact", f'info gomap main.byTenant["{USER}"] -redact',
                "info gomaps -redact")  # fmt: skip
    said = "\n".join(gdb(*commands, on=(subject.exe, subject.core)))
    assert found_in(said) == []
    assert re.search(r"main\.byTenant\[#[0-9a-f]{12}\]", said)
    assert '{"hidden": "' in said
