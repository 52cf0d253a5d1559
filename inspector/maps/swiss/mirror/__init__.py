"""The runtime's algorithm of Swiss maps, without memory, ELF or printing."""
