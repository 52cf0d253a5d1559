"""Moments as RFC 3339 writes them."""

from __future__ import annotations

import numpy as np

from inspector.inspection.tables import Times


def time_texts(times: Times) -> list[str]:
    """Each in UTC, with as many digits of a second as it has: 2026-11-29T12:30:01.000005Z."""
    texts = np.datetime_as_string(times.seconds.astype("M8[s]")).tolist()
    fractions = times.nanoseconds.tolist()
    return [
        f"{text}{f'.{fraction:09d}'.rstrip('0') if fraction else ''}Z"
        for text, fraction in zip(texts, fractions, strict=True)
    ]
