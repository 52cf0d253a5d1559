"""Sizes and numbers in words."""

from __future__ import annotations

UNITS = ("KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """A number of bytes with four digits at most: "72 B", "21.8 KiB", "2.6 MiB"."""
    amount, unit = float(count), "B"
    for larger in UNITS:
        # What would be rounded to 1024 belongs to the next unit.
        if amount < 1023.95:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:,.1f} {unit}"


def number_of(count: int, what: str) -> str:
    """A number with its noun: "1 entry", "2 entries", "1,000 maps"."""
    if count == 1:
        return f"1 {what}"
    return f"{count:,} {what[:-1]}ies" if what.endswith("ry") else f"{count:,} {what}s"
