"""The way out for text: whatever is in a report, a terminal finds nothing in it to obey but our own colours."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from inspector.gotypes.render import plain


class EscapingConsole(Console):
    """A console that shows texts as they are, rich's markup among them, and escapes what no terminal prints.

    Reports escape names and values themselves, as only then tables are as wide as what they show. What one of them
    forgets ends here.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)  # type: ignore[arg-type]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something that is printed; see Console.render."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment(escaped_lines(text), segment.style)


def escaped_lines(text: str) -> str:
    """A text of several lines with everything but the ends of these lines escaped."""
    return "\n".join(map(plain, text.split("\n")))
