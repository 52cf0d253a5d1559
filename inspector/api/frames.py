"""Tables for pandas, which is loaded when the first of them is asked for: nothing else needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector.errors import MissingPackage, UsageError

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[Any]]
"""The columns of a table by their names, in order."""


def data_frame(columns: Columns) -> pd.DataFrame:
    """The table as pandas has it; raises MissingPackage."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingPackage("pandas", "pandas", error) from None
    return pd.DataFrame(columns)


def require_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError for what is none of the choices of a parameter."""
    if given not in choices:
        raise UsageError(f"{name} is {given!r}", f"choose one of {', '.join(map(repr, choices))}")
