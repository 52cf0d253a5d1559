"""From what the user typed to the address and type of a map."""
