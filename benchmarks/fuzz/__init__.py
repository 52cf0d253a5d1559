"""Damaged images: real cores and executables with random bytes overwritten, and what becomes of who inspects them."""
