"""Reports in text, for the user."""
