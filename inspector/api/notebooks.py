"""Small tables in HTML, for notebooks. Whatever a target calls something, the browser shows it as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from inspector.gotypes.render import plain

LONGEST_CELL = 120
"""Characters of a cell."""

MOST_ROWS = 20


def text(words: str) -> str:
    """A text as HTML shows it, with all that is not printable escaped, and cut where it is long."""
    return escape(plain(words if len(words) <= LONGEST_CELL else f"{words[:LONGEST_CELL]}..."))


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]], left_out: int = 0) -> str:
    """A title and a table below it; numbers are written with thousands apart, `left_out` counts rows that are not."""
    lines = [f"<p>{text(title)}</p>", "<table>", f"<thead>{_row('th', heads)}</thead>" if any(heads) else "", "<tbody>"]
    lines += [_row("td", row) for row in rows]
    lines.append("</tbody></table>")
    if left_out:
        lines.append(f"<p>and {left_out:,} more</p>")
    return "\n".join(line for line in lines if line)


def _row(tag: str, cells: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{text(_words(cell))}</{tag}>' for cell in cells)}</tr>"


def _words(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
