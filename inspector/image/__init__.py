"""The executable a target runs: its ELF structure, Go release, symbols and module data."""
