"""What a snapshot must satisfy, rule by rule, and the verdict that follows."""

from inspector.maps.classic.checks.verdict import judge
from inspector.maps.classic.checks.view import MapView

__all__ = ["MapView", "judge"]
