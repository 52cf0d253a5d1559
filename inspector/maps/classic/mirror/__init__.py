"""A pure model of runtime/map.go: it knows the algorithm and no memory, no ELF, no printing."""
