"""Declarations of the runtime's structures, one file per structure, read like the Go they mirror.

Every declaration is a construct Struct for little-endian amd64. Single structures are parsed with it;
arrays are read through the numpy dtype that inspector.goruntime.dtypes derives from the same Struct.
"""
