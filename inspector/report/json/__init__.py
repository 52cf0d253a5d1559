"""JSON for programs (schema.json beside this folder)."""
