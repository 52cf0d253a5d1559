"""The arithmetic of the runtime's Swiss maps, pure: no memory, no types."""
