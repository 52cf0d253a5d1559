"""The classic map family: hmap, bmap and mapextra (Go up to 1.23, noswissmap in 1.24 and 1.25)."""
