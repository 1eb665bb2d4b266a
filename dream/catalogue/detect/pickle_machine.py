"""An interpreter for torch's pickles that imports and runs nothing.

A pickle is a program that names functions and calls them. This interpreter executes its opcodes,
but its values are only text, small numbers, dictionaries, lists, tuples and shapes of tensors;
everything else becomes one stub object without state. The result is the shapes, and a list of the
names that a weights file does not need. The weights are read later, only by
torch.load(weights_only=True).

Steps, bytes and copies are counted, so that no file takes more time or memory than a large model's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dream.catalogue.detect.pickle_names import (
    DICTIONARY,
    OF_TYPE,
    PARAMETER,
    PARAMETER_DICT,
    STORAGES,
    STUB,
    TENSOR,
    is_known,
)
from dream.catalogue.detect.tensors import TensorHeader, parse_tensor

STEPS = 300_000
"""Maximum steps of one run; a tensor takes 35, and SDXL has 2,500 tensors."""
_MAX_NUMBER_BYTES = 8
"""Maximum bytes of an integer; longer ones become stubs."""
_MAX_TEXT_BYTES = 4096
"""Maximum bytes of a text; longer ones become stubs."""
_MAX_CODE = 16
"""How many names that would run are collected; one is enough to reject the file."""

STOP = ord(".")
"""The opcode that ends a pickle."""


class BadPickle(ValueError):
    """A pickle that is truncated, damaged, or longer than any model's."""


class _Name(NamedTuple):
    """A function or class that the pickle names: `module.name`."""

    full: str


Step = Callable[["PickleMachine"], object]


class PickleMachine:
    """The opcodes of pickle protocols 0 to 5, on a stack of the values described above."""

    def __init__(self, data: bytes, steps: Sequence[Step]) -> None:
        self.code: list[str] = []
        """The names that a weights file does not need."""
        self.storages: dict[str, TensorHeader] = {}
        """The storages that tensors are views of, by key."""
        self._data = data
        self._steps = steps
        self._at = 0
        self._steps_left = STEPS
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self._marks: list[int] = []

    def run(self) -> Any:
        """Run the pickle at the current position and return its result. Raises BadPickle, and on
        damaged data ArithmeticError, AttributeError, LookupError, TypeError, ValueError."""
        self.memo, self.stack, self._marks = {}, [], []
        data, steps = self._data, self._steps
        while True:
            if self._at >= len(data):
                raise BadPickle("its pickle is truncated")
            step = data[self._at]
            self._at += 1
            self._count_steps(1)
            if step == STOP:
                return self.stack.pop()
            steps[step](self)

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def _count_steps(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise BadPickle(f"its pickle takes more than {STEPS:,} steps")

    def _read(self, length: int) -> bytes:
        start, self._at = self._at, self._at + length
        if length < 0 or self._at > len(self._data):
            raise BadPickle("its pickle is truncated")
        return self._data[start : self._at]

    def number(self, form: struct.Struct) -> int:
        (number,) = form.unpack(self._read(form.size))
        return int(number)

    def line(self) -> str:
        end = self._data.find(b"\n", self._at, self._at + _MAX_TEXT_BYTES)
        if end < 0:
            raise BadPickle("its pickle is truncated")
        line = self._data[self._at : end].decode("latin1")
        self._at = end + 1
        return line

    def skip(self, length: int) -> None:
        self._at += length
        if length < 0 or self._at > len(self._data):
            raise BadPickle("its pickle is truncated")

    # ── the stack ──────────────────────────────────────────────────────────────────────────────

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        mark = self._marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        self._count_steps(len(values))
        return values

    def _store(self, table: Any, key: Any, value: Any) -> None:
        """Set an item, only for plain keys: hashing other keys could take forever."""
        if type(table) is dict and type(key) in (str, int):
            table[key] = value

    def _name(self, full: str) -> Any:
        self._count_steps(3)
        module, _, name = full.rpartition(".")
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if not is_known(full) and len(self.code) < _MAX_CODE:
            self.code.append(ascii(full)[1:-1])
        return _Name(full)

    def _call(self, function: Any, arguments: Any) -> Any:
        while type(function) is _Name and function.full == OF_TYPE:
            self._count_steps(1)
            function, _, arguments, *_ = arguments
        if type(function) is not _Name or type(arguments) is not tuple:
            return STUB
        if function.full in TENSOR:
            storage, _, shape, *_ = arguments
            return parse_tensor(storage.dtype, shape)
        if function.full.startswith(PARAMETER):
            return arguments[0]
        return self._table(*arguments) if function.full in (DICTIONARY, PARAMETER_DICT) else STUB

    def _table(self, pairs: Any = ()) -> dict[Any, Any]:
        self._count_steps(len(pairs))
        table: dict[Any, Any] = {}
        for key, value in pairs:
            self._store(table, key, value)
        return table

    def storage(self, pid: Any) -> TensorHeader:
        _, dtype, key, _, numbers, *_ = pid
        if type(key) not in (str, int):
            raise BadPickle("a storage in its pickle has no name")
        storage = parse_tensor(dtype if isinstance(dtype, str) else "F32", (numbers,))
        self.storages[str(key)] = storage
        return storage

    # ── opcodes ────────────────────────────────────────────────────────────────────────────────

    def unknown(self) -> None:
        raise BadPickle("its pickle has an unknown opcode")

    def mark(self) -> None:
        self._marks.append(len(self.stack))

    def pop(self) -> None:
        if self._marks and self._marks[-1] == len(self.stack):
            self._marks.pop()
        else:
            self.stack.pop()

    def read_text(self, length: int, coding: str) -> None:
        self._count_steps(1)
        if length > _MAX_TEXT_BYTES:
            self.skip(length)
            self.push(STUB)
        else:
            self.push(self._read(length).decode(coding, "surrogatepass"))

    def skip_bytes(self, length: int) -> None:
        self.skip(length)
        self.push(STUB)

    def read_long(self, length: int) -> None:
        if length > _MAX_NUMBER_BYTES:
            self.skip_bytes(length)
        else:
            self.push(int.from_bytes(self._read(length), "little", signed=True))

    def digits(self) -> None:
        line = self.line().rstrip("L")
        if line in ("00", "01"):
            self.push(line == "01")
        else:
            self.push(int(line) if len(line) < 20 else STUB)

    def inert_line(self) -> None:
        self.line()
        self.push(STUB)

    def make_tuple(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        if len(values) < count:
            raise BadPickle("its pickle is damaged")
        del self.stack[-count:]
        self.push(values)

    def make_dict(self) -> None:
        values = self.pop_mark()
        table: dict[Any, Any] = {}
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._store(table, key, value)
        self.push(table)

    def append(self) -> None:
        value = self.stack.pop()
        if type(self.stack[-1]) is list:
            self.stack[-1].append(value)

    def appends(self) -> None:
        values = self.pop_mark()
        if type(self.stack[-1]) is list:
            self.stack[-1].extend(values)

    def setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._store(self.stack[-1], key, value)

    def setitems(self) -> None:
        values = self.pop_mark()
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._store(self.stack[-1], key, value)

    def drop_items(self) -> None:
        self.pop_mark()

    def inert_items(self) -> None:
        self.pop_mark()
        self.push(STUB)

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.push(self._call(self.stack.pop(), arguments))

    def new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        self.push(self._call(kind, arguments))

    def new_ex(self) -> None:
        self.stack.pop()
        self.new()

    def build(self) -> None:
        state, table = self.stack.pop(), self.stack[-1]  # only a ParameterDict's matters
        if type(state) is dict and type(table) is dict:
            for key, value in dict(state.get("_parameters") or {}).items():
                self._count_steps(1)
                self._store(table, key, value)

    def name_global(self) -> None:
        module = self.line()
        self.push(self._name(f"{module}.{self.line()}"))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise BadPickle("its pickle is damaged")
        self.push(self._name(f"{module}.{name}"))

    def inst(self) -> None:
        self.name_global()
        kind = self.stack.pop()
        self.push(self._call(kind, tuple(self.pop_mark())))

    def obj(self) -> None:
        kind, *arguments = self.pop_mark()
        self.push(self._call(kind, tuple(arguments)))

    def extension(self, length: int) -> None:
        self.skip(length)
        self.push(self._name("copyreg.extension"))

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.push(self.memo[place])
