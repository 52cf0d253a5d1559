"""The rules of docs/rules.md for Swiss maps."""

from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.verdict import judge
from inspector.maps.swiss.checks.view import MapView

__all__ = ["MapView", "Proof", "judge"]
