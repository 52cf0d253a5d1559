"""How a list of all maps is written: sizes in words or exact, shares in percent."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.gotypes.words import size


@dataclass(frozen=True)
class View:
    """What the user wants to see: `maps` lists single maps in the place of groups, `exact` writes sizes as numbers.

    `more` is a last line that says how to see more; the front end knows what that is called there. `unproven` lists
    candidates that could not be proven, and `more_unproven` says how to see them where they are only counted.
    """

    maps: bool = False
    exact: bool = False
    more: str = ""
    unproven: bool = False
    more_unproven: str = ""

    def size(self, count: int) -> str:
        """A number of bytes."""
        return f"{count:,} B" if self.exact else size(count)

    def growth(self, count: int) -> str:
        """How many bytes more, or fewer."""
        return f"{sign(count)}{self.size(abs(count))}"


def sign(count: int) -> str:
    """What stands before a difference."""
    return "-" if count < 0 else "+"


def more(count: int) -> str:
    """How many more, or fewer; nothing for the same number."""
    return f"{sign(count)}{abs(count):,}" if count else ""


def percent(share: float) -> str:
    """A share in whole percent: "93%"; "<1%" where that would be said to be none."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
