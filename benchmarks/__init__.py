"""Measurements, run by hand: each prints ratios taken side by side in one run."""
