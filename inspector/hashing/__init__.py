"""The runtime's hash functions for amd64 over arrays of keys: with AES instructions and without."""
