"""CBOR as COSE needs it, read with one meaning (RFC 8949), as ``strict_json`` does for JSON.

The decoder reads the subset that a signature envelope consists of and nothing else: libraries resolve some
forty tags on their own (regular expressions, shared references, big numbers), and forgive differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 8
"""Nesting levels; a COSE_Sign1 with its headers has 5."""
_ARGUMENT_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_SIMPLE: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged item (RFC 8949, section 3.4); what the tag means is for the reader to say."""

    tag: int
    value: Cbor


Cbor = dict["int | str", "Cbor"] | list["Cbor"] | Tagged | str | bytes | int | bool | None


class CborRefused(ValueError):
    """The bytes are not one unambiguous CBOR item of the kinds that are read. The message says why."""


def loads(raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Cbor:
    """Read ``raw`` strictly. Raises ``CborRefused``.

    Refuses: more than ``max_bytes``, indefinite lengths, keys that appear twice in a map or are neither
    integers nor text, text that is not UTF-8, floating-point numbers, deep nesting, bytes after the end.
    """
    if len(raw) > max_bytes:
        raise CborRefused(f"has {len(raw)} bytes, at most {max_bytes} are read")
    reader = _Reader(raw, max_depth)
    value = reader.item(0)
    if reader.position != len(raw):
        raise CborRefused(f"goes on after its end, at byte {reader.position}")
    return value


class _Reader:
    """A position in the bytes, moved forward by each item that is read."""

    def __init__(self, raw: bytes, max_depth: int) -> None:
        self._raw = raw
        self._max_depth = max_depth
        self.position = 0

    def item(self, depth: int) -> Cbor:
        if depth > self._max_depth:
            raise CborRefused(f"is nested deeper than {self._max_depth} levels")
        first = self._take(1)[0]
        kind, info = first >> 5, first & 31
        if kind == 7:
            return self._simple(info)
        return self._value(kind, self._argument(info), depth)

    def _value(self, kind: int, argument: int, depth: int) -> Cbor:
        """RFC 8949, section 3.1: the major types 0 to 6."""
        value: Cbor
        match kind:
            case 0:
                value = argument
            case 1:
                value = -1 - argument
            case 2:
                value = self._take(argument)
            case 3:
                value = self._text(argument)
            case 4:
                value = [self.item(depth + 1) for _ in range(self._count(argument, 1))]
            case 5:
                value = self._map(self._count(argument, 2), depth)
            case _:
                value = Tagged(argument, self.item(depth + 1))
        return value

    def _simple(self, info: int) -> bool | None:
        if info not in _SIMPLE:
            raise CborRefused(f"has a number with a fraction or a simple value at byte {self.position - 1}")
        return _SIMPLE[info]

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _ARGUMENT_BYTES:
            raise CborRefused(f"has an item of indefinite length at byte {self.position - 1}")
        return int.from_bytes(self._take(_ARGUMENT_BYTES[info]), "big")

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._raw):
            raise CborRefused(f"ends at byte {len(self._raw)}, in the middle of an item")
        taken = self._raw[self.position : end]
        self.position = end
        return taken

    def _count(self, count: int, least_bytes: int) -> int:
        """A count that the remaining bytes can hold: no loop runs longer than its input."""
        if count * least_bytes > len(self._raw) - self.position:
            raise CborRefused(f"ends at byte {len(self._raw)}, in the middle of an item")
        return count

    def _text(self, length: int) -> str:
        start = self.position
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise CborRefused(f"has text that is not UTF-8 at byte {start + exc.start}") from exc

    def _map(self, count: int, depth: int) -> dict[int | str, Cbor]:
        result: dict[int | str, Cbor] = {}
        for _ in range(count):
            key = self.item(depth + 1)
            if not isinstance(key, int | str) or isinstance(key, bool):
                raise CborRefused(
                    f"has a map key that is neither an integer nor text at byte {self.position}"
                )
            if key in result:
                raise CborRefused(f"has the key {str(key)[:40]!a} twice in one map")
            result[key] = self.item(depth + 1)
        return result
