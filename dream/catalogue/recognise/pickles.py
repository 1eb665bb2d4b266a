"""torch's pickles, walked with inert stand-ins: which tensors they hold, and what they would run.

A pickle is a program that names functions and calls them. Here every name leads to one of the
few stand-ins below, which only note what they are given, so that the walk ends with the shapes
of the tensors and a list of the names that a file of weights has no need of. The weights are
read later, and only by torch.load(weights_only=True).
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dream.catalogue.recognise.tensors import Tensor

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
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What broken bytes make of an unpickler."""


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
    """Stands for anything: takes everything, does nothing."""

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
        walk.names = frozenset(map(str, whole))
        walk.tensors = _tensors(whole)
    return walk


def _tensors(table: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors in the dictionary that holds the weights."""
    for nest in ("state_dict", "params_ema", "params"):
        if isinstance(inner := table.get(nest), Mapping):
            return _tensors(inner)
    if isinstance(inner := table.get("string_to_param"), Mapping):
        table = {f"string_to_param.{token}": value for token, value in inner.items()}
    return {str(name): value for name, value in table.items() if isinstance(value, Tensor)}


class _Walker(pickle.Unpickler):
    def __init__(self, file: IO[bytes], walk: Walk) -> None:
        super().__init__(file, encoding="latin1")
        self._walk = walk

    def find_class(self, module: str, name: str, /) -> Any:
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return OrderedDict
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
        storage = Tensor(dtype if isinstance(dtype, str) else "F32", (int(numbers),))
        self._walk.storages[str(key)] = storage
        return storage


def _tensor(storage: Any, offset: object, shape: Any, *rest: object) -> Tensor:
    return Tensor(storage.dtype, tuple(map(int, shape)))


def _parameter(data: object, *rest: object) -> object:
    return data


def _of_type(make: Any, kind: object, args: Any, state: object) -> object:
    return make(*args)
