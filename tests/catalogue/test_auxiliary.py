"""Models that see, found by what their configuration says they are, or fetched once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import CLIPSEG, DEPTH, ensure_auxiliary, find_auxiliary
from dream.catalogue.download import ignore_progress
from dream.core.errors import FetchError, ModelError
from tests.catalogue.hub_stub import Hub, hub_at_home


def put(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    return folder


def test_any_folder_of_the_kind_will_do_and_the_usual_one_best(tmp_path: Path) -> None:
    dirs = (tmp_path / "one", tmp_path / "two")
    put(dirs[0] / "a-depth", "dpt")
    (dirs[0] / "b-broken").mkdir()
    (dirs[0] / "b-broken" / "config.json").write_text("[")
    mine = put(dirs[0] / "c-mine", "clipseg")
    assert find_auxiliary(CLIPSEG, dirs) == mine
    usual = put(dirs[1] / "clipseg-rd64-refined", "clipseg")
    assert find_auxiliary(CLIPSEG, dirs) == usual
    assert find_auxiliary(DEPTH, dirs) == dirs[0] / "a-depth"


def test_it_is_fetched_when_it_is_first_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "config.json": json.dumps({"model_type": "clipseg"}).encode(),
        "preprocessor_config.json": b"{}",
        "vocab.json": b"{}",
        "merges.txt": b"",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"the same as a pickle",
        "README.md": b"words",
        "onnx/model.onnx": b"the same for others",
    }
    message: list[str] = []
    registry = ModelRegistry((tmp_path,))
    with hub_at_home(Hub(CLIPSEG.hub, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        path = ensure_auxiliary(CLIPSEG, registry, ignore_progress, message.append)
        fetched = [name.rpartition("/")[2] for name in hub.requests]
        assert ensure_auxiliary(CLIPSEG, registry, ignore_progress, message.append) == path
    assert path == tmp_path / "clipseg-rd64-refined"
    wanted = ["config.json", "merges.txt", "model.safetensors", "preprocessor_config.json"]
    assert sorted(file.name for file in path.iterdir() if file.name[0] != ".") == [
        *wanted,
        "vocab.json",
    ]
    assert fetched[-1] == "config.json", "half of it is not taken for it"
    assert len(message) == 1
    assert registry.list_models() == () and not registry.check_models()


def test_offline_it_is_refused_and_said_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"text-to-mask model is not downloaded.*CIDAS/clipseg-rd64"
    ):
        ensure_auxiliary(CLIPSEG, ModelRegistry((tmp_path,), offline=True), ignore_progress, print)


def test_a_process_that_forbids_libraries_the_hub_asks_it_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match="cannot be reached") as caught:
        ensure_auxiliary(CLIPSEG, ModelRegistry((tmp_path,)), ignore_progress, print)
    assert "HF_HUB_OFFLINE" not in str(caught.value)
    assert constants.HF_HUB_OFFLINE, "still forbidden to all others"
