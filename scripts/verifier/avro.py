"""Reads Avro binary by its writer's schema. Logical types stay what they are stored as."""

import json
import struct


class Malformed(Exception):
    """The bytes are no datum of the schema."""


def _long(data, at):
    byte = data[at]
    at += 1
    value = byte & 0x7F
    shift = 7
    while byte & 0x80:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return value >> 1 ^ -(value & 1), at


def _bytes(data, at):
    length, at = _long(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise Malformed("it ends too early")
    return bytes(data[at:end]), end


def _string(data, at):
    value, at = _bytes(data, at)
    return value.decode(), at


def _boolean(data, at):
    return data[at] != 0, at + 1


def _packed(form):
    size = struct.calcsize(form)
    return lambda data, at: (struct.unpack_from(form, data, at)[0], at + size)


PRIMITIVES = {
    "null": lambda data, at: (None, at), "boolean": _boolean, "int": _long, "long": _long,
    "bytes": _bytes, "string": _string, "float": _packed("<f"), "double": _packed("<d"),
}


def _blocks(data, at, one):
    count, at = _long(data, at)
    while count:
        if count < 0:
            count = -count
            _, at = _long(data, at)  # the size of the block in bytes
        for _ in range(count):
            at = one(data, at)
        count, at = _long(data, at)
    return at


def _array(item):
    def read(data, at):
        items = []

        def one(data, at):
            value, at = item(data, at)
            items.append(value)
            return at

        at = _blocks(data, at, one)
        return items, at

    return read


def _map(value_reader):
    def read(data, at):
        entries = {}

        def one(data, at):
            key, at = _string(data, at)
            entries[key], at = value_reader(data, at)
            return at

        at = _blocks(data, at, one)
        return entries, at

    return read


def _union(branches):
    def read(data, at):
        branch, at = _long(data, at)
        if not 0 <= branch < len(branches):
            raise Malformed(f"a union without branch {branch}")
        return branches[branch](data, at)

    return read


def _record(fields):
    def read(data, at):
        record = {}
        for name, reader in fields:
            record[name], at = reader(data, at)
        return record, at

    return read


def _fixed(size):
    def read(data, at):
        if at + size > len(data):
            raise Malformed("it ends too early")
        return bytes(data[at : at + size]), at + size

    return read


def _enum(symbols):
    def read(data, at):
        index, at = _long(data, at)
        if not 0 <= index < len(symbols):
            raise Malformed(f"an enum without symbol {index}")
        return symbols[index], at

    return read


def _compile(schema, names):
    if isinstance(schema, list):
        return _union([_compile(branch, names) for branch in schema])
    if isinstance(schema, str):
        return PRIMITIVES.get(schema) or (lambda data, at: names[schema](data, at))
    kind = schema["type"]
    if kind == "array":
        return _array(_compile(schema["items"], names))
    if kind == "map":
        return _map(_compile(schema["values"], names))
    if kind == "record":
        fields = []
        reader = _record(fields)
    elif kind == "enum":
        reader = _enum(schema["symbols"])
    elif kind == "fixed":
        reader = _fixed(schema["size"])
    else:
        return _compile(kind, names)
    names[schema["name"]] = names[f"{schema.get('namespace', '')}.{schema['name']}"] = reader
    if kind == "record":
        fields += [(field["name"], _compile(field["type"], names)) for field in schema["fields"]]
    return reader


class Schemas:
    """Schemas of a registry by id. Shape: `{id: schema}`, the schema as JSON text or as JSON."""

    def __init__(self, by_id: dict):
        self._readers, self.names = {}, {}
        for ident, schema in by_id.items():
            schema = json.loads(schema) if isinstance(schema, str) else schema
            self._readers[int(ident)] = _compile(schema, {})
            self.names[int(ident)] = schema.get("name")

    def read(self, value: bytes) -> dict:
        """The record behind a magic byte 0 and the id of its schema. Raises `Malformed`."""
        if len(value) < 5 or value[0] != 0:
            raise Malformed("it is not framed")
        ident = struct.unpack_from(">I", value, 1)[0]
        reader = self._readers.get(ident)
        if reader is None:
            raise Malformed(f"schema {ident} is unknown")
        try:
            record, at = reader(value, 5)
        except (IndexError, struct.error, UnicodeDecodeError) as error:
            raise Malformed(f"no datum of schema {ident}: {error}") from error
        if at != len(value):
            raise Malformed(f"{len(value) - at} bytes are left over behind the datum")
        return record
