"""What runs inside gdb: commands, functions and a pretty-printer for Go maps.

gomap.py is the file that gdb sources; everything else is loaded by it.
"""
