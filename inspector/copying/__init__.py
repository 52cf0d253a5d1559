"""Copying the memory of a live process while it is held: what there is, where to, how fast."""
