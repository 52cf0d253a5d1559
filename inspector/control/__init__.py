"""Holding a process still and asking gdb about it: ptrace, the bridge to gdb, gdbserver."""
