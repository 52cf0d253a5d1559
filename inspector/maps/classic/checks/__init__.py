"""What a snapshot must satisfy, rule by rule, and the verdict that follows."""

from inspector.maps.classic.checks.finding import Finding, Verdict, Where
from inspector.maps.classic.checks.verdict import Judgement, judge
from inspector.maps.classic.checks.view import MapView

__all__ = ["Finding", "Judgement", "MapView", "Verdict", "Where", "judge"]
