"""Tables of the global names that a weights pickle may use; none of them is imported."""

from __future__ import annotations

IGNORED_GLOBALS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)
"""Training state in Stability's and CompVis' own .ckpt files. These names are replaced by stubs,
here and when the weights are loaded; nothing is imported."""

STORAGES = {
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
DICTIONARY = "collections.OrderedDict"
PARAMETER_DICT = "torch.nn.modules.container.ParameterDict"
"""In old embeddings. A module, so the scan and the loader treat it as the table of its
parameters."""
SETS = ("__builtin__.set", "builtins.set")
"""In the state of such a module."""
TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
PARAMETER = "torch._utils._rebuild_parameter"
OF_TYPE = "torch._tensor._rebuild_from_type_v2"
_HARMLESS = ("collections.Counter", "torch.Size", "torch.device", "torch.Tensor", "_codecs.encode")
_DTYPES = ("float", "double", "half", "bfloat", "int", "uint", "long", "short", "bool", "complex")


def is_known(full: str) -> bool:
    """Whether a weights file may use that name, `module.name`."""
    module, _, name = full.rpartition(".")
    return (
        full in (DICTIONARY, PARAMETER_DICT, *SETS, *TENSOR, OF_TYPE, *IGNORED_GLOBALS, *_HARMLESS)
        or full.startswith(PARAMETER)
        or (module == "torch" and name.startswith(_DTYPES))
    )


class StubObject:
    """Replaces any object: accepts every call and stores nothing."""

    __slots__ = ()

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None:
        """Do nothing."""

    def extend(self, items: object) -> None:
        """Do nothing."""


class ParameterTable(dict[str, object]):
    """Replaces torch's ParameterDict: a dictionary of its parameters."""

    def __setstate__(self, state: object) -> None:
        parameters = state.get("_parameters") if isinstance(state, dict) else None
        if isinstance(parameters, dict):
            self.update(parameters)


STUB = StubObject()
