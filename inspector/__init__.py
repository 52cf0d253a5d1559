"""go-map-inspect: Go's runtime maps, decoded from a live process or a core dump and judged."""
