"""A process, a core dump, or a process behind a gdbserver, opened."""
