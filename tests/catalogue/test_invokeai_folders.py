"""InvokeAI's models folder: a folder with a UUID for each model, its name in a database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import thread_time
from uuid import UUID

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import LORA, find_adapters
from dream.catalogue.encoder_files import find_text_encoders
from dream.catalogue.invokeai_folders import list_installed
from dream.catalogue.vaes import find_vaes
from tests.catalogue.test_companions import QWEN3, VAE, Z_IMAGE
from tests.catalogue.test_detect import write

KLEIN, FOLDER, ENCODER, DECODER, ADAPTER = (str(UUID(int=n)) for n in range(1, 6))
ROWS = (
    (f"{KLEIN}/z_image_bf16.safetensors", "main", "Z-Image 中文 Turbo"),
    (FOLDER, "main", "Dreamshaper 8"),
    (f"{ENCODER}/qwen.safetensors", "qwen3_encoder", "Qwen3"),
    (f"{DECODER}/diffusion.safetensors", "vae", "flux-vae"),
    (f"{ADAPTER}/x123.safetensors", "lora", "Ink / style\x1b[2J"),
)
LORA_FILE = {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (16, 320)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    for (path, _, _), header in zip(ROWS, (Z_IMAGE, None, QWEN3, VAE, LORA_FILE), strict=True):
        place = models / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if header is None:
            (place / "unet").mkdir(parents=True)
            (place / "unet" / "config.json").write_text('{"sample_size": 64}')
            (place / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
        else:
            write(place, header)
    (models / "tokenizers" / "qwen3").mkdir(parents=True)
    (models / "tokenizers" / "qwen3" / "tokenizer.json").write_text("{}")
    (tmp_path / "databases").mkdir()
    return tmp_path


def fill(root: Path, rows: tuple[tuple[str, str, str], ...] = ROWS) -> Path:
    database = root / "databases" / "invokeai.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE models (id TEXT NOT NULL PRIMARY KEY, name TEXT GENERATED ALWAYS AS"
            " (json_extract(config, '$.name')) VIRTUAL NOT NULL, config TEXT NOT NULL)"
        )
        for number, (path, kind, name) in enumerate(rows):
            config = json.dumps({"path": path, "type": kind, "name": name, "base": "any"})
            connection.execute("INSERT INTO models (id, config) VALUES (?, ?)", (number, config))
    return database


@pytest.mark.parametrize("place", ["", "models"])
def test_models_have_the_names_of_the_database(root: Path, place: str) -> None:
    database = fill(root)
    before = database.stat().st_mtime_ns, sorted(database.parent.iterdir())
    registry = ModelRegistry([root / place])
    names = [info.name for info in registry.list_models()]
    assert names == ["Dreamshaper 8", "Z-Image 中文 Turbo"]
    info = registry.get_model("Z-Image 中文 Turbo")
    assert [part.path.name for part in info.parts][:2] == ["qwen.safetensors", ROWS[3][0][37:]]
    assert info.missing == ()
    assert list(find_vaes([root / place])) == ["flux-vae"]
    assert list(find_text_encoders([root / place])) == ["qwen"]
    assert list(find_adapters(LORA, [root / place], [])) == ["Ink - style�[2J"]
    assert (database.stat().st_mtime_ns, sorted(database.parent.iterdir())) == before


def test_without_a_database_headers_say_what_files_are(root: Path) -> None:
    registry = ModelRegistry([root])
    assert {info.name for info in registry.list_models()} == {FOLDER, "z_image_bf16"}
    assert registry.get_model("z_image_bf16").missing == ()
    assert list(find_adapters(LORA, [root], [])) == ["x123"]


def test_two_models_of_one_name_are_both_listed(root: Path) -> None:
    fill(root, tuple((path, kind, "same") for path, kind, _ in ROWS))
    alone = set(ModelRegistry([root / "models"]).find_paths())
    assert alone == {"same", "same (z_image_bf16)"}
    assert set(ModelRegistry([root]).find_paths()) == {"same", f"same ({FOLDER})"}


def endless(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE VIEW models AS WITH RECURSIVE n(config) AS"
            " (SELECT 1 UNION ALL SELECT config + 1 FROM n) SELECT * FROM n WHERE config < 0"
        )


def large(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE VIEW models AS SELECT zeroblob(900000000) AS config")


def odd_rows(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE models (config)")
        for config in (None, 3, b"\xff", "[" * 60_000, '{"path": [1], "type": "main", "name": ""}'):
            connection.execute("INSERT INTO models VALUES (?)", (config,))
        wrong = json.dumps({"path": f"../{KLEIN}", "type": "main", "name": "outside"})
        connection.execute("INSERT INTO models VALUES (?)", (wrong,))


@pytest.mark.parametrize(
    "make",
    [
        lambda database: database.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40),
        lambda database: database.write_bytes(b""),
        lambda database: database.mkdir(),
        endless,
        large,
        odd_rows,
    ],
)
def test_a_hostile_database_harms_nobody(root: Path, make: Callable[[Path], object]) -> None:
    make(root / "databases" / "invokeai.db")
    began = thread_time()
    assert {one.name for one in list_installed(root / "models")} == {""}
    assert "z_image_bf16" in ModelRegistry([root]).find_paths()
    assert thread_time() - began < 20
