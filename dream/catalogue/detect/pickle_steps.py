"""The opcodes of pickle protocols 0 to 5, by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from dream.catalogue.detect.pickle_machine import PickleMachine, Step
from dream.catalogue.detect.pickle_names import STUB

_U1, _U2, _I4, _U4, _U8 = map(struct.Struct, ("<B", "<H", "<i", "<I", "<Q"))


def _counted(step: Callable[[PickleMachine, int], None], form: struct.Struct) -> Step:
    """An opcode that is followed by a number, and possibly by that many bytes."""
    return lambda machine: step(machine, machine.number(form))


def _pushed(value: Any) -> Step:
    return lambda machine: machine.push(value)


def _texts(form: struct.Struct, coding: str) -> Step:
    return lambda machine: machine.read_text(machine.number(form), coding)


_BY_BYTE: dict[bytes, Step] = {
    b"(": PickleMachine.mark,
    b"0": PickleMachine.pop,
    b"1": PickleMachine.drop_items,
    b"2": lambda m: m.push(m.stack[-1]),
    b"F": PickleMachine.inert_line,
    b"I": PickleMachine.digits,
    b"L": PickleMachine.digits,
    b"J": _counted(PickleMachine.push, _I4),
    b"K": _counted(PickleMachine.push, _U1),
    b"M": _counted(PickleMachine.push, _U2),
    b"\x8a": _counted(PickleMachine.read_long, _U1),
    b"\x8b": _counted(PickleMachine.read_long, _I4),
    b"G": lambda m: m.skip_bytes(8),
    b"N": _pushed(None),
    b"\x88": _pushed(True),
    b"\x89": _pushed(False),
    b"P": PickleMachine.inert_line,
    b"Q": lambda m: m.push(m.storage(m.stack.pop())),
    b"S": lambda m: m.push(m.line()[1:-1]),
    b"V": lambda m: m.push(m.line()),
    b"T": _texts(_I4, "latin1"),
    b"U": _texts(_U1, "latin1"),
    b"X": _texts(_U4, "utf-8"),
    b"\x8c": _texts(_U1, "utf-8"),
    b"\x8d": _texts(_U8, "utf-8"),
    b"B": _counted(PickleMachine.skip_bytes, _U4),
    b"C": _counted(PickleMachine.skip_bytes, _U1),
    b"\x8e": _counted(PickleMachine.skip_bytes, _U8),
    b"\x96": _counted(PickleMachine.skip_bytes, _U8),
    b"a": PickleMachine.append,
    b"e": PickleMachine.appends,
    b"b": PickleMachine.build,
    b"c": PickleMachine.name_global,
    b"\x93": PickleMachine.stack_global,
    b"d": PickleMachine.make_dict,
    b"}": lambda m: m.push({}),
    b"l": lambda m: m.push(m.pop_mark()),
    b"]": lambda m: m.push([]),
    b"t": lambda m: m.push(tuple(m.pop_mark())),
    b")": _pushed(()),
    b"\x85": lambda m: m.make_tuple(1),
    b"\x86": lambda m: m.make_tuple(2),
    b"\x87": lambda m: m.make_tuple(3),
    b"g": lambda m: m.get(int(m.line()[:20])),
    b"h": _counted(PickleMachine.get, _U1),
    b"j": _counted(PickleMachine.get, _U4),
    b"p": lambda m: m.put(int(m.line()[:20])),
    b"q": _counted(PickleMachine.put, _U1),
    b"r": _counted(PickleMachine.put, _U4),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"i": PickleMachine.inst,
    b"o": PickleMachine.obj,
    b"R": PickleMachine.reduce,
    b"\x81": PickleMachine.new,
    b"\x92": PickleMachine.new_ex,
    b"s": PickleMachine.setitem,
    b"u": PickleMachine.setitems,
    b"\x80": lambda m: m.skip(1),
    b"\x95": lambda m: m.skip(8),
    b"\x82": lambda m: m.extension(1),
    b"\x83": lambda m: m.extension(2),
    b"\x84": lambda m: m.extension(4),
    b"\x8f": _pushed(STUB),
    b"\x90": PickleMachine.drop_items,
    b"\x91": PickleMachine.inert_items,
    b"\x97": _pushed(STUB),
    b"\x98": lambda m: None,
}
STEPS = tuple(_BY_BYTE.get(bytes([byte]), PickleMachine.unknown) for byte in range(256))
