"""The runtime's hash functions for amd64 over arrays of keys: with AES instructions and without."""

from inspector.hashing.hasher import Hashed, Hasher
from inspector.hashing.keys import HashKeys, find_hash_keys

__all__ = ["HashKeys", "Hashed", "Hasher", "find_hash_keys"]
