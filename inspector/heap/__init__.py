"""The Go heap's metadata: its spans, and which of their objects are alive."""
