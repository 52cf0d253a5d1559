"""What runs inside gdb."""
