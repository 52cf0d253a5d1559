"""What a snapshot must satisfy, rule by rule, and the verdict that follows."""

from inspector.classic.checks.finding import Finding, Verdict, Where
from inspector.classic.checks.verdict import Judgement, judge
from inspector.classic.checks.view import MapView

__all__ = ["Finding", "Judgement", "MapView", "Verdict", "Where", "judge"]
