"""Tail probabilities, for the two rules that can only say how unlikely a state is."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def _log_probability(hits: int, trials: int, chance: float) -> float:
    ways = lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
    return ways + hits * log(chance) + (trials - hits) * log1p(-chance)


def upper_tail(hits: int, trials: int, chance: float) -> float:
    """Probability of at least `hits` successes in `trials` of the given chance (an upper bound)."""
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    if chance >= 1 or hits <= trials * chance:
        return 1.0
    # Beyond the mean the terms fall faster than a geometric series with this ratio.
    ratio = (trials - hits) * chance / ((hits + 1) * (1 - chance))
    return min(1.0, exp(_log_probability(hits, trials, chance)) / (1 - ratio))


def lower_tail(hits: int, trials: int, chance: float) -> float:
    """Probability of at most `hits` successes (an upper bound)."""
    return upper_tail(trials - hits, trials, 1 - chance)


def two_sided_tail(hits: int, trials: int, chance: float) -> float:
    """How unlikely a number of successes is, whichever side of the mean it lies on."""
    if chance >= 1:
        return 1.0 if hits == trials else 0.0
    return min(upper_tail(hits, trials, chance), lower_tail(hits, trials, chance)) if trials else float(not hits)
