"""Go literals become the bytes that such a value has in memory."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import UsageError
from inspector.gotypes.literal import parse_literal

pytestmark = pytest.mark.pure

NUMBERS = [
    ("int", "42", "<q", 42),
    ("int", "-0x2a", "<q", -42),
    ("int", "1_000_000", "<q", 1_000_000),
    ("int8", "-128", "<b", -128),
    ("int32", "'x'", "<i", ord("x")),
    ("uint8", "0b1010", "<B", 10),
    ("uint16", "0o777", "<H", 0o777),
    ("uint64", "18446744073709551615", "<Q", (1 << 64) - 1),
    ("float64", "-1.5e3", "<d", -1500.0),
    ("float32", "0.5", "<f", 0.5),
    ("bool", "true", "<?", True),
    ("unsafe.Pointer", "0xc000012345", "<Q", 0xC000012345),
    ("unsafe.Pointer", "nil", "<Q", 0),
]

REFUSED = [
    ("int", "x"),
    ("int", "1 2"),
    ("int8", "128"),
    ("uint8", "-1"),
    ("bool", "maybe"),
    ("string", '"open'),
]


@pytest.mark.parametrize(("type_name", "text", "form", "value"), NUMBERS)
def test_numbers_have_the_bytes_of_their_type(demo, type_name, text, form, value):
    types = demo.target.program.types
    assert parse_literal(types, types.find_type(type_name), text).data == struct.pack(form, value)


def text_of(demo, text: str) -> bytes:
    """The bytes of the string that a literal stands for."""
    types = demo.target.program.types
    literal = parse_literal(types, types.find_type("string"), text)
    pointer, length = struct.unpack("<QQ", literal.data)
    return bytes(literal.memory.read(pointer, length)) if length else b""


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("plain", b"plain"),
        ('"quoted"', b"quoted"),
        (r'"\x00\377\u00e9\U0001F600\n\""', b'\x00\xff\xc3\xa9\xf0\x9f\x98\x80\n"'),
        (r"`\x00 raw`", rb"\x00 raw"),
        ('""', b""),
    ],
)
def test_strings_are_unquoted_as_in_go(demo, text, data):
    assert text_of(demo, text) == data


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_quoted_text_is_read_back(demo, text):
    # JSON's escapes are Go's too, but for characters beyond U+FFFF, which are left as they are.
    assert text_of(demo, json.dumps(text, ensure_ascii=False).replace("\x7f", r"\x7f")) == text.encode()


def test_a_literal_that_ends_too_soon_is_said_to_end(demo):
    types = demo.target.program.types
    with pytest.raises(UsageError, match=r"the key 'x' cannot be read: .* expected at its end"):
        parse_literal(types, types.find_type("int"), "x")


@pytest.mark.parametrize(("type_name", "text"), REFUSED)
def test_what_is_not_a_literal_of_the_type_is_refused_and_quoted(demo, type_name, text):
    types = demo.target.program.types
    with pytest.raises(UsageError) as refused:
        parse_literal(types, types.find_type(type_name), text)
    assert repr(text) in str(refused.value)
