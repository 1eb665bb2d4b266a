"""!models over a folder of ComfyUI's with the files that people run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dream.catalogue.detect import headers
from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.session import Session
from tests.catalogue.test_published_headers import bf16, write
from tests.comfyui_tree import write_comfyui_tree
from tests.fakes import fake_session

OTHER_FILES = (
    ("controlnet", bf16({"input_hint_block.0": (16, 3, 3, 3), "x.attn2.to_k": (320, 768)})),
    ("ipadapter", bf16({"image_proj.proj": (1024, 768), "ip_adapter.1.to_k_ip": (320, 768)})),
    ("upscale_models", bf16({"model.0": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0": (32, 64, 3)})),
    (
        "facerestore_models",
        bf16({"toRGB.0": (4, 4), "stylegan_decoder.style_mlp.1": (4, 4), "final_linear": (4, 4)}),
    ),
)
"""Folders and headers."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_comfyui_tree(tmp_path / "ComfyUI")
    return tmp_path / "ComfyUI"


@pytest.fixture
def session(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    session = fake_session(tmp_path, None, "tiny")
    dirs = (tree, *session.registry.models_dirs)
    session.registry = replace(session.registry, models_dirs=dirs)
    return session


def listing(session: Session) -> TextOutput:
    (page,) = run_line(Context(session, list, COMMANDS), "!models")
    assert isinstance(page, TextOutput)
    return page


def test_each_file_is_listed_once_by_what_it_is(session: Session) -> None:
    page = listing(session)
    rows = [row for row in page.lines if isinstance(row, tuple)]
    names = [head.lstrip("* ") for head, _ in rows]
    assert len(names) == len(set(names))
    shown = {name: text for name, (_, text) in zip(names, rows, strict=True)}
    for name, words in {
        "z_image_turbo_int8": "z-image int8",
        "krea2_turbo_fp8_scaled": "krea2 fp8 scaled",
        "flux1-dev-bnb-nf4-v2": "flux nf4",
        "DreamShaper_8_pruned": "sd1",
        "qwen_image_edit_2509_fp8": "qwen-image edit-plus fp8",
    }.items():
        assert words in shown[name]
    assert "9 steps by its name (z_image_turbo_bf16)" in shown["z_image_turbo_bf16"]
    assert "lacks its text encoder (T5, 4,096 wide)" not in shown["flux1-dev-fp8"]
    assert not {"clip_l", "ae", "z_image_lora"} & shown.keys()
    problems = [row.strip() for row in page.lines if isinstance(row, str) and "!" in row]
    for name in ("torn", "web.ckpt", "code.ckpt", "cut.gguf", "anima", "svdq-int4", "wan2.2"):
        assert [name in text for text in problems].count(True) == 1, name


def test_a_listing_reads_each_header_once(
    session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[Path] = Counter()
    read = headers._read

    def counted(path: Path) -> headers.Header:
        reads[path] += 1
        return read(path)

    monkeypatch.setattr(headers, "_read", counted)
    for folder, header in OTHER_FILES:
        (tree / "models" / folder).mkdir()
        write(tree / "models" / folder / "one.safetensors", header)
    first = listing(session)
    assert set(reads.values()) == {1} and len(reads) > 50
    reads.clear()
    assert listing(session).lines == first.lines
    assert not reads, "nothing changed"
    changed = tree / "models" / "vae" / "ae.safetensors"
    changed.write_bytes(b"")
    assert "ae.safetensors is empty" in str(listing(session).lines)
    assert set(reads) == {changed}
