"""The types of a target: descriptors read on demand, map types found and looked up by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from construct import Construct
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import Hint, InspectError, NotReadInTime, UnknownType, UnreadableMemory
from inspector.goruntime import types as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.records import record_of
from inspector.goruntime.releases import Release
from inspector.goruntime.swissgroup import CTRL_SIZE
from inspector.gotypes.gotype import Field, GoType, Kind, why_impossible
from inspector.gotypes.layouts import ClassicLayout, SwissLayout
from inspector.gotypes.names import normalise, short_form, without_packages_of_fields
from inspector.image.functions import FunctionTable
from inspector.image.moduledata import Module
from inspector.memory.gather import gather
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Memory, Region, RegionMap

MAX_FIELDS = 1 << 16
MAX_NAME = 1 << 16
POINTER_SIZE = 8
NEAR_NAMES = 5
MAX_TYPE_SIZE = 1 << 40
ALIGNMENTS = (1, 2, 4, 8)
MAX_MADE_OF = 64
"""How many types a type without a name is made of, one in the other; what is more leads back to itself."""

MOST_SEARCHED = 1 << 32
"""Bytes of the heap that are searched for types at most."""

HEAP_PIECE = 1 << 24

PLAIN_KINDS = frozenset(range(Kind.BOOL, Kind.FLOAT32)) | {Kind.POINTER, Kind.CHAN, Kind.UNSAFE_POINTER}
"""Kinds whose values are equal when their bytes are."""


class BadType(InspectError):
    """The bytes at an address are not a type descriptor."""


class TypeTable:
    """Reads type descriptors and remembers them; can be pickled with what it has read so far.

    The descriptors of the executable are copied whole when the table is made (they never change); those
    that a program makes at run time are read from `memory` when first asked for.
    """

    def __init__(self, memory: Memory, modules: list[Module], release: Release) -> None:
        self.modules = modules
        self.release = release
        self.functions = FunctionTable(memory, modules, release)
        self._memory: Memory | None = memory
        self._bytes = {m.types: memory.read(m.types, m.etypes - m.types) for m in modules}
        self._known: dict[int, GoType] = {}
        self._decoding: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"modules": self.modules, "release": self.release, "functions": self.functions, "known": self._known,
            "bytes": {base: bytes(data) for base, data in self._bytes.items()}}  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.modules = state["modules"]
        self.release = state["release"]
        self.functions = state["functions"]
        self._known = state["known"]
        self._bytes = {base: memoryview(data) for base, data in state["bytes"].items()}
        self._memory = None
        self._decoding = []

    def get(self, address: int) -> GoType:
        """Decode the descriptor at an address; raises BadType or UnreadableMemory."""
        known = self._known.get(address)
        if known is None:
            if address in self._decoding:
                raise BadType(f"the type at {address:#x} is a part of itself")
            if len(self._decoding) > MAX_MADE_OF:
                raise BadType(f"the type at {address:#x} is made of too many others")
            self._decoding.append(address)
            try:
                known = self._decode(address)
                self._require_sizes(known)
                self._known[address] = known
            finally:
                self._decoding.pop()
        return known

    def _require_sizes(self, go_type: GoType) -> None:
        """Raise BadType where the parts of a type do not fit into it, so that nobody else has to doubt its sizes."""
        wrong = why_impossible(go_type, lambda address: self.get(address).size)
        if wrong:
            raise BadType(f"no type descriptor at {go_type.address:#x}: {wrong}")

    def adopt(self, go_type: GoType) -> None:
        """Add a type that has no descriptor, under an address that no descriptor can have."""
        self._known[go_type.address] = go_type

    def is_static(self, address: int) -> bool:
        """Whether a descriptor lies in the executable; others were made at run time, by reflect."""
        return self._module_of(address) is not None

    def elem(self, parent: GoType) -> GoType:
        """Return the element type of a pointer, slice, array, channel or map."""
        return self.get(parent.elem_address)

    def key(self, parent: GoType) -> GoType:
        """Return the key type of a map."""
        return self.get(parent.key_address)

    def dynamic(self, interface: GoType, tab: int, memory: Memory) -> GoType:
        """The type of the value in an interface, of which `tab` is the first word and not nil (runtime.iface, eface).

        An itab is read from `memory`. Raises BadType or UnreadableMemory.
        """
        if not interface.methods:
            return self.get(tab)
        return self.get(int(schema.itab.parse(memory.read(tab, schema.itab.sizeof())).typ))

    def dynamic_of_any(self, tab: int, memory: Memory) -> GoType | None:
        """The type that a word names if it is the first of some interface: by its descriptor, or by an itab.

        Only types of the executable count; None for words that name none.
        """
        try:
            if self.is_static(tab):
                return self.get(tab)
            pair = schema.itab.parse(memory.read(tab, schema.itab.sizeof()))
            if not (self.is_static(pair.typ) and self.is_static(pair.inter)):
                return None
            return self.get(pair.typ) if self.get(pair.inter).kind == Kind.INTERFACE else None
        except NotReadInTime:
            raise
        except InspectError:
            return None

    def may_be_types(self, addresses: Addresses, memory: Memory, regions: RegionMap) -> NDArray[np.bool_]:
        """Which addresses can be those of type descriptors, by their first words; nothing is decoded."""
        may: NDArray[np.bool_] = np.zeros(len(addresses), dtype=bool)
        for module in self.modules:
            may |= (addresses >= np.uint64(module.types)) & (addresses < np.uint64(module.etypes))
        # Those that reflect makes at run time lie on the heap.
        others = np.flatnonzero(~may)
        rows, ok = gather(memory, regions, addresses[others], schema.rtype.sizeof())
        heads = rows.view(dtype_of(schema.rtype))[:, 0]
        kind = heads["kind"] & schema.KIND_MASK
        ok &= (heads["size"] <= MAX_TYPE_SIZE) & (heads["ptrdata"] <= heads["size"])
        ok &= np.isin(heads["align"], ALIGNMENTS) & (kind >= min(Kind)) & (kind <= max(Kind))
        may[others] = ok
        return may

    # Finding map types

    @cached_property
    def map_types(self) -> list[GoType]:
        """Every map type described in the executable, named ones included, sorted by name."""
        found = [t for module in self.modules for t in self._map_types_at(self._map_descriptors(module))]
        return sorted(found, key=lambda t: (t.name, t.address))

    def _map_types_at(self, addresses: list[int]) -> Iterator[GoType]:
        """Decode what looks like map descriptors; what turns out not to be one is left out."""
        for address in addresses:
            try:
                candidate = self.get(address)
                self.key(candidate), self.elem(candidate)
            except (BadType, UnreadableMemory):
                continue
            if candidate.layout:
                yield candidate

    def search_heap(self, memory: Memory, heap: Iterable[Region]) -> bool:
        """Look for map types that reflect made at run time (reflect.MapOf); returns whether any is new.

        `heap` is where the program's heap lies. Their descriptors are there, never move and stay for good, so this
        needs no stop.
        """
        return self.learn(self._heap_descriptors(memory, heap))

    def learn(self, descriptors: Iterable[int]) -> bool:
        """Add the map types at those of the addresses that are descriptors of some; returns whether any is new."""
        found = self._map_types_at(list(descriptors))
        known = {map_type.address for map_type in self.map_types}
        fresh = [map_type for map_type in found if map_type.address not in known]
        self.map_types.extend(fresh)
        self._named_maps.clear()
        return bool(fresh)

    def _heap_descriptors(self, memory: Memory, heap: Iterable[Region]) -> list[int]:
        """Addresses in the Go heap of words that begin a maptype: size, ptrdata, alignments and kind."""
        found, left = [], MOST_SEARCHED
        for region in heap:
            end = min(region.end, region.start + left)
            left -= max(0, end - region.start)
            for at in range(region.start, end, HEAP_PIECE):
                size = min(HEAP_PIECE + schema.maptype(self.release).sizeof(), end - at) // POINTER_SIZE * POINTER_SIZE
                try:
                    words = np.frombuffer(memory.read(at, size), "<u8")
                except UnreadableMemory:
                    continue
                found += map_descriptors_among(words, at)
        return found

    def _map_descriptors(self, module: Module) -> list[int]:
        """Addresses in a module that look like map descriptors.

        typelinks lists unnamed types only, so the whole range is scanned for the fixed words of a
        maptype: pointer-sized, kind map, three pointers to types.
        """
        data = np.frombuffer(self._bytes[module.types], dtype=np.uint8)
        dtype = dtype_of(schema.maptype(self.release))
        if len(data) < dtype.itemsize:
            return []
        start = -module.types % POINTER_SIZE
        windows = sliding_window_view(data, dtype.itemsize)[start::POINTER_SIZE]
        kind_at = dtype["typ"].fields["kind"][1]  # type: ignore[index]
        likely = np.flatnonzero(windows[:, kind_at] & schema.KIND_MASK == Kind.MAP)
        rows = np.ascontiguousarray(windows[likely]).view(dtype)[:, 0]
        good = (rows["typ"]["size"] == POINTER_SIZE) & (rows["typ"]["ptrdata"] == POINTER_SIZE)
        for part in schema.parts_of_maptype(self.release):
            # The dynamic linker may let a plugin use the executable's descriptor of a type that both have.
            good &= np.logical_or.reduce([(rows[part] >= m.types) & (rows[part] < m.etypes) for m in self.modules])
        addresses: NDArray[np.int64] = likely[good] * POINTER_SIZE + start + module.types
        return [int(address) for address in addresses]

    # Types that were looked for by name: callers that ask for one key after the other name the same ones again.

    @cached_property
    def _named_types(self) -> dict[str, GoType]:
        return {}

    @cached_property
    def _named_maps(self) -> dict[str, GoType]:
        return {}

    def find_type(self, wanted: str) -> GoType:
        """Find any type by the name that reflect prints; raises UnknownType."""
        if wanted not in self._named_types:
            self._named_types[wanted] = self._search_type(wanted)
        return self._named_types[wanted]

    def _search_type(self, wanted: str) -> GoType:
        name = normalise(wanted)
        for module in self.modules:
            for address in self._described_as(module, name):
                try:
                    found = self.get(address)
                except (BadType, UnreadableMemory):
                    continue
                if found.name == name:
                    return found
        raise UnknownType(f"the executable has no type {wanted!r}", "is it spelled as reflect prints it?")

    def _described_as(self, module: Module, name: str) -> list[int]:
        """Addresses of descriptors in a module whose name field leads to a name, or to it behind a star."""
        data = bytes(self._bytes[module.types])
        offsets = set()
        encoded = name.encode(errors="surrogateescape")
        for spelled in (encoded, b"*" + encoded):
            length = len(spelled)
            head = bytes([length & 0x7F | 0x80, length >> 7]) if length > 0x7F else bytes([length])
            if not self.release.varint_names:
                head = bytes([length >> 8, length & 0xFF])
            for match in re.finditer(re.escape(head + spelled), data):
                offsets.add(match.start() - 1)  # the flag byte stands before the length
        dtype = dtype_of(schema.rtype)
        start = -module.types % POINTER_SIZE
        raw = np.frombuffer(data, np.uint8)
        windows = sliding_window_view(raw, dtype.itemsize)[start::POINTER_SIZE]
        at = dtype.fields["str"][1]  # type: ignore[index]
        names = np.ascontiguousarray(windows[:, at : at + 4]).view("<i4")[:, 0]
        hits = np.flatnonzero(np.isin(names, list(offsets)))
        return [int(hit) * POINTER_SIZE + start + module.types for hit in hits]

    def find_map_type(self, wanted: str) -> GoType:
        """Find a map type by its name as reflect, the Go source or DWARF writes it.

        Import paths may be given or left out. Raises UnknownType with the nearest names when there is
        none, or when a name without paths fits several types.
        """
        if wanted not in self._named_maps:
            self._named_maps[wanted] = self._search_map_type(wanted)
        return self._named_maps[wanted]

    def _search_map_type(self, wanted: str) -> GoType:
        name = normalise(without_packages_of_fields(wanted))
        if not name:
            raise UnknownType("no type name given", Hint("for example {type} 'map[string]int'"))
        exact = [t for t in self.map_types if normalise(self.qualified_name(t)) == name]
        loose = exact or [t for t in self.map_types if normalise(t.name) == name]
        loose = loose or [t for t in self.map_types if normalise(t.name) == short_form(name)]
        if not loose:
            names = sorted({t.name for t in self.map_types})
            import difflib

            near = difflib.get_close_matches(name, names, NEAR_NAMES, 0.5)
            hint = f"did you mean {', '.join(near)}?" if near else "is it spelled as in Go, import path included?"
            raise UnknownType(f"the executable has no map type {wanted!r}", hint)
        if len({self.qualified_name(t) for t in loose}) > 1:
            choices = ", ".join(sorted({self.qualified_name(t) for t in loose})[:NEAR_NAMES])
            raise UnknownType(f"several types are called {wanted!r}", f"choose one: {choices}")
        return loose[0]

    def qualified_name(self, go_type: GoType, depth: int = 0) -> str:
        """The name of a type with full import paths, as in DWARF."""
        if go_type.named:
            base = go_type.name.partition("[")[0]
            if not go_type.pkg_path or "." not in base:
                return go_type.name
            return go_type.pkg_path + "." + go_type.name[base.rindex(".") + 1 :]
        if depth > 16:
            return go_type.name
        prefix = {Kind.POINTER: "*", Kind.SLICE: "[]", Kind.ARRAY: f"[{go_type.length}]"}.get(go_type.kind)
        if prefix is not None:
            return prefix + self.qualified_name(self.elem(go_type), depth + 1)
        if go_type.kind == Kind.MAP:
            key, elem = self.key(go_type), self.elem(go_type)
            return f"map[{self.qualified_name(key, depth + 1)}]{self.qualified_name(elem, depth + 1)}"
        return go_type.name

    def distinct_names(self, types: Sequence[GoType]) -> tuple[str, ...]:
        """The short names of types; with full import paths where two of them are the same."""
        often = Counter(go_type.name for go_type in types)
        return tuple(each.name if often[each.name] == 1 else self.qualified_name(each) for each in types)

    # Decoding descriptors

    def _read(self, address: int, size: int) -> memoryview:
        for base, data in self._bytes.items():
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        if self._memory is None:
            raise UnreadableMemory(address, size, "the target is closed")
        return self._memory.read(address, size)

    def _parse(self, declaration: Construct, address: int) -> SimpleNamespace:
        record = record_of(declaration)
        return record.read(self._read(address, record.size))

    def _decode(self, address: int) -> GoType:
        if address % 4 or not 0 < address < END_OF_USER_SPACE:
            raise BadType(f"{address:#x} cannot be the address of a type descriptor")
        head = self._parse(schema.rtype, address)
        try:
            kind = Kind(head.kind & schema.KIND_MASK)
        except ValueError:
            raise BadType(f"no type descriptor at {address:#x}: kind {head.kind:#x} is unknown") from None
        if head.size > MAX_TYPE_SIZE or head.align not in ALIGNMENTS or head.ptrdata > head.size:
            raise BadType(f"no type descriptor at {address:#x}: size {head.size}, align {head.align}")
        named = bool(head.tflag & schema.TFLAG_NAMED)
        common: dict[str, Any] = {
            "address": address,
            "kind": kind,
            "size": head.size,
            "name": self._type_name(address, head),
            "pkg_path": self._pkg_path(address, kind) if head.tflag & schema.TFLAG_UNCOMMON else "",
            "named": named,
            "direct_iface": bool(
                (head.tflag if self.release.direct_iface_in_tflag else head.kind) & schema.DIRECT_IFACE
            ),
            "has_pointers": head.ptrdata > 0,
            "regular_memory": bool(head.tflag & schema.TFLAG_REGULAR_MEMORY),
        }
        details = self._details(address, kind)
        if self.release.type_alg:
            common["regular_memory"] = self._is_plain_memory(kind, head.size, details)
        if not common["name"]:
            common["name"] = self._composed_name(kind, details)
        return GoType(**common, **details)

    def _composed_name(self, kind: Kind, details: dict[str, Any]) -> str:
        """The name of a type that reflect made: such types have no name of their own, only parts."""
        if kind == Kind.MAP:
            return f"map[{self.get(details['key_address']).name}]{self.get(details['elem_address']).name}"
        prefix = {Kind.POINTER: "*", Kind.SLICE: "[]", Kind.ARRAY: f"[{details.get('length')}]", Kind.CHAN: "chan "}
        return prefix[kind] + self.get(details["elem_address"]).name if kind in prefix else ""

    def _details(self, address: int, kind: Kind) -> dict[str, Any]:
        if kind in (Kind.POINTER, Kind.SLICE, Kind.CHAN):
            return {"elem_address": self._parse(schema.elem_type, address).elem}
        if kind == Kind.ARRAY:
            array = self._parse(schema.array_type, address)
            return {"elem_address": array.elem, "length": array.len}
        if kind == Kind.STRUCT:
            return {"fields": self._fields(self._parse(schema.struct_type, address).fields)}
        if kind == Kind.INTERFACE:
            return {"methods": self._parse(schema.interface_type, address).methods.len}
        if kind == Kind.MAP:
            return self._map_details(self._parse(schema.maptype(self.release), address))
        return {}

    def _map_details(self, maptype: SimpleNamespace) -> dict[str, Any]:
        key, elem = self._parse(schema.rtype, maptype.key), self._parse(schema.rtype, maptype.elem)
        layout = (self._swiss_layout if self.release.swiss else self._classic_layout)(maptype, key, elem)
        fits = layout.indirect_key or layout.key_slot == key.size
        fits &= layout.indirect_elem or layout.elem_slot == elem.size
        if not fits or not layout.fits:
            raise BadType(f"no map type has this layout: {layout}")
        return {
            "key_address": maptype.key,
            "elem_address": maptype.elem,
            "cells_address": maptype.group if self.release.swiss else maptype.bucket,
            "layout": layout,
            "hasher": self._hash_of(maptype.key) if self.release.type_alg else maptype.hasher,
        }

    def _classic_layout(self, maptype: SimpleNamespace, _: SimpleNamespace, __: SimpleNamespace) -> ClassicLayout:
        return ClassicLayout(
            key_slot=maptype.keysize,
            elem_slot=maptype.elemsize,
            bucket_size=maptype.bucketsize,
            flags=maptype.flags,
            bucket_has_pointers=self._parse(schema.rtype, maptype.bucket).ptrdata > 0,
        )

    def _swiss_layout(self, maptype: SimpleNamespace, key: SimpleNamespace, elem: SimpleNamespace) -> SwissLayout:
        if self.release.strides_in_map_types:
            keys_at, key_stride, elem_stride = maptype.keysOff, maptype.keyStride, maptype.elemStride
            elems_at = maptype.elemsOff
        else:
            keys_at, key_stride, elem_stride = CTRL_SIZE, maptype.slotSize, maptype.slotSize
            elems_at = keys_at + maptype.elemOff
        return SwissLayout(
            key_slot=POINTER_SIZE if maptype.flags & schema.SWISS_INDIRECT_KEY else key.size,
            elem_slot=POINTER_SIZE if maptype.flags & schema.SWISS_INDIRECT_ELEM else elem.size,
            keys_at=keys_at,
            key_stride=key_stride,
            elems_at=elems_at,
            elem_stride=elem_stride,
            group_size=maptype.groupSize,
            flags=maptype.flags,
            group_has_pointers=self._parse(schema.rtype, maptype.group).ptrdata > 0,
            key_has_pointers=key.ptrdata > 0,
        )

    def _hash_of(self, key: int) -> int:
        """The func value that hashes keys, through the key type's typeAlg (until 1.13)."""
        alg = self._parse(schema.rtype, key).equal
        try:
            return int(self._parse(schema.type_alg, alg).hash) if alg else 0
        except UnreadableMemory:
            return 0

    def _is_plain_memory(self, kind: Kind, size: int, details: dict[str, Any]) -> bool:
        """Whether values are compared and hashed as bytes: what a flag says since 1.14 (algtype1 in cmd/compile)."""
        if kind == Kind.ARRAY:
            return not details["length"] or self.get(details["elem_address"]).regular_memory
        if kind == Kind.STRUCT:
            end = 0
            for field in details["fields"]:
                part = self.get(field.type_address)
                if field.name == "_" or field.offset != end or not part.regular_memory:
                    return False
                end += part.size
            return end == size
        return kind in PLAIN_KINDS

    def _fields(self, header: SimpleNamespace) -> tuple[Field, ...]:
        if not 0 <= header.len <= MAX_FIELDS:
            raise BadType(f"a struct type with {header.len} fields")
        if not header.len:
            return ()
        raw = self._read(header.data, header.len * schema.struct_field.sizeof())
        rows = np.frombuffer(raw, dtype_of(schema.struct_field))
        fields = []
        for row in rows:
            name, embedded = self._name(int(row["name"]))
            offset = int(row["offset"])
            if self.release.embed_in_offset:
                embedded, offset = bool(offset & 1), offset >> 1
            fields.append(Field(name, int(row["typ"]), offset, embedded))
        return tuple(fields)

    def _module_of(self, address: int) -> Module | None:
        return next((m for m in self.modules if m.types <= address < m.etypes), None)

    def _type_name(self, address: int, head: SimpleNamespace) -> str:
        name = self._name_at_offset(address, head.str)
        return name[1:] if head.tflag & schema.TFLAG_EXTRA_STAR else name

    def _name_at_offset(self, address: int, offset: int) -> str:
        # nameOff is relative to the module of the descriptor. Types made by reflect lie outside of all
        # modules and number their names in runtime.reflectOffs, which is not followed here.
        module = self._module_of(address)
        if module is None:
            return ""
        return self._name(module.types + offset)[0] if offset else ""

    def _name(self, address: int) -> tuple[str, bool]:
        """Decode an abi.Name: a flag byte, a length, the bytes. Returns (name, embedded)."""
        flags, *length_bytes = self._read(address, 3)
        if self.release.varint_names:
            first, second = length_bytes
            length, start = (first, 2) if first < 0x80 else (first & 0x7F | second << 7, 3)
        else:
            length, start = length_bytes[0] << 8 | length_bytes[1], 3
        if length > MAX_NAME:
            raise BadType(f"a name of {length} bytes at {address:#x}")
        text = bytes(self._read(address + start, length)).decode(errors="surrogateescape") if length else ""
        return text, bool(flags & 8)

    def _pkg_path(self, address: int, kind: Kind) -> str:
        follows = {
            Kind.STRUCT: schema.struct_type,
            Kind.POINTER: schema.elem_type,
            Kind.FUNC: schema.func_type,
            Kind.SLICE: schema.elem_type,
            Kind.ARRAY: schema.array_type,
            Kind.MAP: schema.maptype(self.release),
            Kind.INTERFACE: schema.interface_type,
        }
        size = follows[kind].sizeof() if kind in follows else schema.rtype.sizeof()
        if kind == Kind.CHAN:
            size = schema.elem_type.sizeof() + POINTER_SIZE  # the direction
        if kind == Kind.FUNC:
            size += -size % POINTER_SIZE
        uncommon = self._parse(schema.uncommon_type, address + size)
        return self._name_at_offset(address, uncommon.pkgPath)


def map_descriptors_among(words: NDArray[np.uint64], start: int) -> list[int]:
    """Addresses of words that begin a maptype, among those that lie at `start`: size, ptrdata, alignments and kind."""
    head = np.frombuffer(bytes([POINTER_SIZE, POINTER_SIZE]), "<u2")[0]
    packed = words[2:]
    likely = (words[:-2] == POINTER_SIZE) & (words[1:-1] == POINTER_SIZE)
    likely &= (packed >> np.uint64(56)) & np.uint64(schema.KIND_MASK) == Kind.MAP
    likely &= (packed >> np.uint64(40)) & np.uint64(0xFFFF) == head
    return [start + int(hit) * POINTER_SIZE for hit in np.flatnonzero(likely)]
