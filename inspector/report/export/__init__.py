"""Entries in files that other tools read: one flat table, a row for each entry."""
