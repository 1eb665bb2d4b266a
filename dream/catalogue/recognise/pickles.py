"""torch's pickles, walked with inert stand-ins: which tensors they hold, and what they would run.

A pickle is a program that names functions and calls them. Here every name leads to one of the
few stand-ins below, which only note what they are given and have no state that could be set, so
that the walk ends with the shapes of the tensors and a list of the names that a file of weights
has no need of. The weights are read later, and only by torch.load(weights_only=True).
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

from dream.catalogue.recognise.tensors import Tensor, tensor

BYSTANDERS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)
"""What Stability's and CompVis' own .ckpt files name beside the weights: the notes of their
training. Nothing of it is imported; these names lead to inert stand-ins, here and when loading."""

PICKLE_LIMIT = 100_000_000
"""Bytes of a zip's data.pkl; that of SDXL has one million."""

_STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "UntypedStorage": "U8",
}
_HARMLESS = ("collections.Counter", "torch.Size", "torch.device", "torch.Tensor", "_codecs.encode")
_DTYPES = ("float", "double", "half", "bfloat", "int", "uint", "long", "short", "bool", "complex")
_BREAKS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What broken bytes make of an unpickler."""

_NESTS = ("state_dict", "params_ema", "params")
"""Names under which the weights lie deeper."""
NESTED = 4
"""How deep they may lie: a dictionary may hold itself."""


@dataclass
class Walk:
    """What was met on the way."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    storages: dict[str, Tensor] = field(default_factory=dict)
    """Runs of numbers that tensors are views of, by their keys."""
    names: frozenset[str] = frozenset()
    code: list[str] = field(default_factory=list)
    failed: str = ""


class Inert:
    """Stands for anything: takes everything, keeps nothing."""

    __slots__ = ()

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None:
        """Forget it."""

    def extend(self, items: object) -> None:
        """Forget them."""


def read_zip(path: Path) -> Walk:
    """The pickle of a file of torch 1.6 and later, a zip of `*/data.pkl` and one entry for each
    storage. Raises zipfile.BadZipFile for a zip that is cut short, or has none."""
    with zipfile.ZipFile(path) as archive:
        inside = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(inside) != 1 or archive.getinfo(inside[0]).file_size > PICKLE_LIMIT:
            raise zipfile.BadZipFile("there is no data.pkl of torch in this zip")
        try:
            return _walk(io.BytesIO(archive.read(inside[0])), before=0)
        except (NotImplementedError, RuntimeError, EOFError) as error:  # encrypted, or odd packing
            raise zipfile.BadZipFile(str(error)) from error


def read_legacy(path: Path) -> Walk:
    """The pickles of a file of torch before 1.6: magic number, version, machine, the weights."""
    with path.open("rb") as file:
        return _walk(file, before=3)


def _walk(file: IO[bytes], before: int) -> Walk:
    walk = Walk()
    try:
        for _ in range(before):
            _Walker(file, walk).load()
        whole = _Walker(file, walk).load()
    except _BREAKS as error:
        walk.failed = str(error) or type(error).__name__
        return walk
    if isinstance(whole, Mapping):
        walk.names = frozenset(name for name in whole if isinstance(name, str))
        walk.tensors = _tensors(whole)
    return walk


def _tensors(table: Mapping[Any, Any], depth: int = NESTED) -> dict[str, Tensor]:
    """The tensors in the dictionary that holds the weights."""
    for nest in _NESTS if depth else ():
        if isinstance(inner := table.get(nest), Mapping):
            return _tensors(inner, depth - 1)
    if isinstance(inner := table.get("string_to_param"), Mapping):
        return {f"string_to_param.{name}": row for name, row in _tensors(inner, 0).items()}
    return {
        name: row for name, row in table.items() if isinstance(name, str) and type(row) is Tensor
    }


class _Walker(pickle._Unpickler):
    """The standard library's unpickler in Python. The one in C makes room for as many memos as the
    highest number named: fifteen bytes could ask it for 64 GB."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, file: IO[bytes], walk: Walk) -> None:
        super().__init__(file, encoding="latin1")
        self._walk = walk

    def find_class(self, module: str, name: str, /) -> Any:
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return _table
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch._utils" and name.startswith("_rebuild_parameter"):
            return _parameter
        if full in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
            return _tensor
        if full == "torch._tensor._rebuild_from_type_v2":
            return _of_type
        known = full in BYSTANDERS or full in _HARMLESS
        if not (known or (module == "torch" and name.startswith(_DTYPES))):
            self._walk.code.append(full)
        return Inert

    def persistent_load(self, pid: Any, /) -> Any:
        _, dtype, key, _, numbers, *_ = pid
        if not isinstance(key, str | int):
            raise pickle.UnpicklingError("a storage without a name")
        storage = tensor(dtype if isinstance(dtype, str) else "F32", (numbers,))
        self._walk.storages[str(key)] = storage
        return storage

    def load_build(self) -> None:
        """No stand-in has a state."""
        self.stack.pop()

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][_hashed(key)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_hashed(key)] = value

    def load_frozenset(self) -> None:
        self.append(frozenset(map(_hashed, self.pop_mark())))  # type: ignore[attr-defined]

    def load_additems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.stack[-1].update(map(_hashed, items))

    del dispatch[pickle.BYTEARRAY8[0]]  # it would make room before it reads
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.FROZENSET[0]] = load_frozenset
    dispatch[pickle.ADDITEMS[0]] = load_additems


def _hashed(key: Any) -> Any:
    """A key, if it is a plain one. Tuples of tuples of the same tuple, forty deep, take a year to
    be hashed."""
    if isinstance(key, tuple | frozenset) and any(isinstance(k, tuple | frozenset) for k in key):
        raise pickle.UnpicklingError("a key in a dictionary is made of tuples")
    return key


def _table(pairs: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
    return {_hashed(key): value for key, value in pairs}


def _tensor(storage: Any, offset: object, shape: Any, *rest: object) -> Tensor:
    return tensor(storage.dtype, shape)


def _parameter(data: object, *rest: object) -> object:
    return data


def _of_type(make: Any, kind: object, args: Any, state: object) -> object:
    return make(*args)
