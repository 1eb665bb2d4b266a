"""Files of weights: pickles, zips of torch, safetensors, GGUF."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from random import Random

from dream.catalogue.detect import require_model
from dream.catalogue.upscalers import is_upscaler
from scripts.fuzzing import gguf_files
from scripts.fuzzing.mutations import GROWN, grown, mutate
from scripts.fuzzing.runner import Reader

_NAMES = (
    "model.diffusion_model.input_blocks.0.0.weight",
    "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    "first_stage_model.decoder.conv_in.weight",
    "double_blocks.0.img_attn.qkv.weight",
    "lora_unet_mid.lora_down.weight",
)
_WORDS = (b"state_dict", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n")
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    b"K\x24tQK\x00(K\x04K\x03K\x03t(K\x09K\x03K\x01t\x89ccollections\nOrderedDict\n)RtR"
)
_OPCODES = b"(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu}])BCG" + bytes(range(0x80, 0x99))
_PIECES = (
    *(
        TENSOR,
        b"}",
        b"]",
        b")",
        b"(",
        b"t",
        b"s",
        b"u",
        b"e",
        b"a",
        b"R",
        b"Q",
        b"\x85",
        b"\x86",
        b"2",
    ),
    *(b"0", b"N", b"\x8f", b"h\x00", b"h\x01", b"q\x00", b"q\x01", b"\x94", b"K\x01", b"M\xff\xff"),
    *(
        b"J\xff\xff\xff\x7f",
        b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
        b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096,
    ),
    *(b"X\x01\x00\x00\x00a", b"X\x0a\x00\x00\x00state_dict", b"ccollections\nOrderedDict\n"),
    *(
        b"r\xff\xff\xff\x7f",
        b"I123\n",
        b"L" + b"9" * 3000 + b"L\n",
        b"cos\nsystem\n",
        b"b",
        b"\x93",
    ),
    *(
        b"\x95" + b"\xff" * 8,
        b"\x96" + b"\xff" * 7 + b"\x7f",
        b"h\x00h\x00\x86q\x00",
        b"h\x00h\x01R0",
    ),
)


def _program(random: Random) -> bytes:
    if random.random() < 0.3:
        return mutate(random, _whole_pickle(), _PIECES)
    pieces = [random.choice(_PIECES) for _ in range(random.randrange(1, 40))]
    if random.random() < 0.2:
        pieces.append(bytes(random.choice(_OPCODES) for _ in range(20)))
    program = b"\x80\x02}q\x00]q\x01" + b"".join(pieces)
    if random.randrange(GROWN // 2) == 0:
        program = grown(random, program, random.randrange(1, 6 << 20))
    return program + random.choice((b".", b"s.", b"u.", b"tR.", b""))


@lru_cache
def _whole_pickle() -> bytes:
    rows = b"".join(b"X" + struct.pack("<I", len(name)) + name.encode() + TENSOR for name in _NAMES)
    return b"\x80\x02}X\x0a\x00\x00\x00state_dict}(" + rows + b"us."


def _pickle(random: Random) -> bytes:
    program = _program(random)
    if random.random() < 0.2:
        magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        return magic + pickle.dumps({"little_endian": True}, 2) + program
    return packed(program, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def packed(program: bytes, method: int) -> bytes:
    """A file of torch with that pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", bytes(200))
    return file.getvalue()


@lru_cache
def _whole_zip(method: int) -> bytes:
    return packed(_whole_pickle(), method)


def _zip(random: Random) -> bytes:
    """Changed where it is read: in the directory, its end, and the pickle's own header."""
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    if random.randrange(GROWN) == 0:
        return claimed(
            random, packed(b"}" * random.randrange(30 << 20), random.choice(methods[:2]))
        )
    if random.randrange(GROWN) == 0:
        return many_entries(random.randrange(1, 200_000))
    data = _whole_zip(random.choice(methods))
    if random.random() < 0.5:
        data = claimed(random, data)
    if random.random() < 0.3:
        return mutate(random, data)
    at = max(0, data.rfind(random.choice((b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04"))))
    at = min(len(data) - 1, at + random.randrange(60))
    return data[:at] + mutate(random, data[at : at + 4]) + data[at + 4 :]


def claimed(random: Random, data: bytes) -> bytes:
    """With other lengths in the directory than there are."""
    changed = bytearray(data)
    at = data.find(b"PK\x01\x02") + random.choice((20, 24, 28, 42))
    changed[at : at + 4] = random.choice((b"\xff" * 4, b"\0" * 4, b"\xe8\x03\0\0", b"\0\0\0\x7f"))
    return bytes(changed)


def many_entries(many: int) -> bytes:
    """A directory of so many empty entries."""
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", *(20, 20, 0, 0, 0, 0), *(0, 0, 0), *(1, 0, 0, 0, 0), 0, 0
    )
    directory = (entry + b"x") * many
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory) & 0xFFFFFFFF, 4, 0)
    return b"PK\x03\x04" + directory + end


def _safetensors(random: Random) -> bytes:
    row = b'{"dtype":"F16","shape":[4,3],"data_offsets":[0,24]}'
    rows = b",".join(b'"%s":%s' % (name.encode(), row) for name in _NAMES)
    text = b'{"__metadata__":{"modelspec.resolution":"1024x1024","ss_v2":"x\\u00e9"},' + rows + b"}"
    words = (
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\u",
        b"1e999",
        b"null",
        b"-1",
        b"9" * 5000,
        row,
        b'"a":' + row + b",",
    )
    text = mutate(random, text, words)
    if random.randrange(GROWN) == 0:
        many = random.randrange(100_000)
        text = b"{" + b",".join(b'"%x":%s' % (n, row) for n in range(many)) + b"}"
    elif random.randrange(GROWN) == 0:
        text = (
            b'{"__metadata__":{"a":"'
            + random.choice((b'\\"', b"a", b"\\ud83d\\ude00")) * random.randrange(1 << 20)
            + b'"}}'
        )
    length = (
        len(text)
        if random.random() < 0.9
        else random.choice((0, 2**63, len(text) - 1, len(text) + 30))
    )
    return struct.pack("<Q", length) + text + bytes(24)


def _through_file(name: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        is_upscaler(path)
        return require_model(path)

    return read


READERS = (
    Reader("pickles", _pickle, _through_file("v2-pickled.ckpt")),
    Reader("zips", _zip, _through_file("zipped.pth")),
    Reader("gguf", gguf_files.made, _through_file("header.gguf")),
    Reader("safetensors", _safetensors, _through_file("header.safetensors")),
)
