"""Files of settings and configurations: TOML as it is read and as it is edited, YAML, JSON."""

from __future__ import annotations

from pathlib import Path
from random import Random

from dream.catalogue import models_toml_writer as edit
from dream.catalogue.discovery import INDEX
from dream.catalogue.invokeai_models import read_models_yaml
from dream.catalogue.models_toml import FILE_NAME, read_entries
from dream.catalogue.read_model_info import read_model
from dream.config.settings_file import read_settings
from dream.core.errors import DreamError
from scripts.fuzzing.mutations import mutate
from scripts.fuzzing.runner import Reader

_TOML = (
    b'# mine\n[models.tiny]\nsteps = 20\ndefault = true\npath = "/nowhere"\nformerly = ["a", "b"]\n'
    b'[models."v1.5 x"]\ndescription = "a\\u00e9"\nwidth = 512\ncfg_scale = 7.5\nupscaler = \'x\'\n'
)
_SETTINGS = b'steps = 20\nmodel = "tiny"\nseed = 3\nwidth = 512\noutdir = "here"\npreview = "off"\n'
_TOML_WORDS = (
    *(b"[", b"]", b"[[", b"]]", b"=", b".", b"a.", b'"', b'"""', b"'", b"'''", b"{", b"}", b","),
    *(b"\n", b"\\", b"2001-99-99", b"1e999", b"nan", b"9" * 5000, b"0x", b"\xff", b"\xef\xbb\xbf"),
    *(b"a = [", b"a = {a = ", b"x = 1\n", b"[models.a]\n", b"1_000", b"#", b"\0", b"\r"),
)
_YAML = (
    b"stable-diffusion-1.5:\n  description: Newest\n  weights: models/x.ckpt\n  config: c.yaml\n"
    b"  width: 512\n  height: 512\n  default: true\n  vae:\n    repo_id: a/b\nb:\n  repo_id: c/d\n"
)
_YAML_WORDS = (
    *(b"- ", b": ", b"? ", b"&a ", b"*a ", b"!!int ", b"!!python/object:os.system ", b"<<: ", b"{"),
    *(
        b"}",
        b"[",
        b"]",
        b"\n",
        b"  ",
        b"\t",
        b"2001-99-99",
        b"9" * 5000,
        b"1:1",
        b'"',
        b"'",
        b"|\n",
    ),
    *(
        b"#",
        b"%YAML 1.1\n",
        b"---\n",
        b"...\n",
        b"\xff",
        b"\0",
        b"~",
        b".inf",
        b"0o7",
        b"a: &a [*a]",
    ),
)
_JSON = (
    b'{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],'
    b' "sample_size": 64, "in_channels": 4, "block_out_channels": [320, 640], "sizes": [1, 2.5e3]}'
)
_JSON_WORDS = (
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"NaN", b"-", b"1e999", b"9" * 5000),
    *(b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\0", b'"in_channels":', b'"sample_size":'),
)


def _toml(random: Random) -> bytes:
    return mutate(random, _TOML, _TOML_WORDS)


def _read_toml(data: bytes, folder: Path) -> object:
    (folder / FILE_NAME).write_bytes(data)
    return read_entries((folder,), _ignore)


def _edit_toml(data: bytes, folder: Path) -> object:
    (folder / FILE_NAME).write_bytes(data[: 16 << 10])
    return edit.remove_entry((folder,), "tiny")


def _settings(random: Random) -> bytes:
    return mutate(random, _SETTINGS, _TOML_WORDS)


def _read_settings(data: bytes, folder: Path) -> object:
    path = folder / "dream.toml"
    path.write_bytes(data)
    return read_settings((path,))


def _yaml(random: Random) -> bytes:
    return mutate(random, _YAML, _YAML_WORDS)


def _read_yaml(data: bytes, folder: Path) -> object:
    path = folder / "models.yaml"
    path.write_bytes(data)
    return list(read_models_yaml(path))


def _json(random: Random) -> bytes:
    return mutate(random, _JSON, _JSON_WORDS)


def _read_json(data: bytes, folder: Path) -> object:
    for place in (folder / "m" / INDEX, folder / "m" / "unet" / "config.json"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (folder / "m" / "card.toml").write_bytes(data)
    return read_model("m", folder / "m", _ignore)


def _ignore(complaint: str) -> None:
    """What is left out is said, and is no refusal."""
    if "\n" in complaint:
        raise AssertionError("a complaint of two lines")


READERS = (
    Reader("toml", _toml, _read_toml, (DreamError,)),
    Reader("toml edited", _toml, _edit_toml),
    Reader("settings", _settings, _read_settings),
    Reader("yaml", _yaml, _read_yaml),
    Reader("json", _json, _read_json),
)
