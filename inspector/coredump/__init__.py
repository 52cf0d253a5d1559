"""Writing a core of a live process: what `go-map-inspect snapshot` does."""

from inspector.coredump.snapshot import Written, write_core

__all__ = ["Written", "write_core"]
