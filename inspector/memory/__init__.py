"""Where bytes come from: a process, a core, gdb, or a frozen copy, all behind one Memory protocol."""
