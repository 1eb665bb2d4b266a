"""A session in a folder that a stranger made: nothing outside of it changes, nothing freezes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

pytest.importorskip("pty", reason="there are no pseudo-terminals on Windows")

from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.gallery.folder import list_names
from tests.terminal import pseudo
from tests.terminal.test_pty import is_as_before

RUNS = 'a cat; touch "$HOME/pwned" $(touch $HOME/pwned) `touch $HOME/pwned` #'


READ = (
    "pipe.safetensors",
    "pipe.ckpt",
    "pipe.yaml",
    "no-index/model_index.json",
    "part/config.json",
    "upscalers/pipe.pth",
    "x4/model_index.json",
    "VAE/pipe.vae.pt",
    "vae/pipe.safetensors",
    "vae/folder/config.json",
    "taesd/config.json",
    "tiny-x4/tiny-x4.pth",
    "clipseg-rd64-refined/config.json",
    "dpt-hybrid-midas/config.json",
)
"""Names of pipes in the models' folder."""

WHOLE = (
    "no-card/card.toml",
    "no-schedule/scheduler/scheduler_config.json",
    "no-words/tokenizer/vocab.json",
    "no-shapes/unet/config.json",
    "no-weights/unet/diffusion_pytorch_model.safetensors",
    "no-text/text_encoder/model.safetensors",
    "no-decoder/vae/config.json",
)
"""Pipes in models that are whole without."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with what links would lead to."""
    home = tmp_path / "home"
    (home / "tmp").mkdir(parents=True)
    for name in (".bashrc", ".profile", ".bash_history", "victim", "models.toml"):
        (home / name).write_text(f"# {name}\n")
    Image.new("RGB", (8, 8)).save(home / "private.png")
    return home


def hostile_clone(home: Path, log: str) -> Path:
    """A folder with a link, a pipe or a lie under every name that dream reads or writes there."""
    clone = home / "clone"
    outdir = clone / "outputs" / "img-samples"
    outdir.mkdir(parents=True)
    links = {
        ".dream_foreign": ".profile",
        ".dream_queue": "victim",
        ".dream_queue.tmp": "victim",
        ".dream_history": ".bash_history",
        ".000001.claim": ".bashrc",
        ".000002.claim": "nothing-there-yet",
        ".dream-0123456789abcdef.tmp": ".bashrc",
        "000001.42.png": "private.png",
        "intermediates": "",
        "inputs": "",
        "grid.png": "nothing-there-yet",
    }
    if log == "link":
        links["dream_log.txt"] = ".bashrc"
    elif log == "pipe":
        os.mkfifo(outdir / "dream_log.txt")
    else:
        (outdir / "dream_log.txt").write_text(f"outputs/x.png: {RUNS}\n\x1b]0;pwned\x07\n")
    for name, target in links.items():
        (outdir / name).symlink_to(home / target)
    chunks = PngInfo()
    chunks.add_text("Dream", f"{RUNS}\n!del_model tiny --files --yes")
    chunks.add_text("dream", json.dumps({"line": RUNS, "sha256": "0" * 64, "signature": "1"}))
    Image.new("RGB", (8, 8)).save(outdir / "hostile.png", pnginfo=chunks)
    os.mkfifo(outdir / "pipe.png")
    (outdir / "download.png").touch()
    (outdir / ".dream_queue.2").write_text(f"!del_model tiny --files --yes\n{RUNS}\n")
    (clone / "dream.toml").write_text("steps = 2\nwidth = 64\nheight = 64\n")
    models = clone / "models"
    models.mkdir()
    lie_in_wait(models)
    (models / "home").symlink_to(home)
    if log == "pipe":
        os.mkfifo(models / "models.toml")
        (clone / "dream.toml").unlink()
        os.mkfifo(clone / "dream.toml")
    else:
        (models / "models.toml").write_text('[models.mine]\npath = "../.."\n')
    return clone


def lie_in_wait(models: Path) -> None:
    """Pipes at every name that is read of models, and a device without end."""
    for name in READ:
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    for name in WHOLE:
        shutil.copytree(get_shipped_models_dir() / "tiny", models / name.partition("/")[0])
        (models / name).unlink()
        os.mkfifo(models / name)
    (models / "zero.ckpt").symlink_to("/dev/zero")


def listing(home: Path, clone: Path) -> dict[str, str]:
    """Everything in the home but the clone: what it is and holds."""
    found = {}
    for folder, folders, files in os.walk(home):
        if Path(folder) == clone.parent and clone.name in folders:
            folders.remove(clone.name)
        for path in (Path(folder, name) for name in (*folders, *files)):
            mode = path.lstat().st_mode
            what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[path.relative_to(home).as_posix()] = f"{mode:o} {what}"
    return found


@pytest.fixture
def opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[pseudo.Terminal]]:
    monkeypatch.setattr(pseudo, "PATIENCE", 300.0)  # torch is imported by the worker
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    opened: list[pseudo.Terminal] = []
    yield opened
    for one in opened:
        one.close()


@pytest.mark.parametrize("log", ["lies", "link", "pipe"])
def test_nothing_outside_a_hostile_clone_changes(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[pseudo.Terminal],
    log: str,
) -> None:
    clone = hostile_clone(home, log)
    outdir = clone / "outputs" / "img-samples"
    before, ours = listing(home, clone), sorted(list_names(outdir))
    monkeypatch.chdir(clone)
    term = pseudo.Terminal("-m", "dream", "--preview", "off", columns=140, rows=60)
    opened.append(term)
    term.see("Run now?")
    if log == "pipe":
        term.see("dream.toml in this folder is not a regular file; it is ignored")
    else:
        term.see("settings from dream.toml in this folder: steps, width, height")
    assert any("not run again because it is a command: !del_model" in row for row in term.rows())
    term.send("n\r")
    term.see("kept for the next session")
    for seed in (1, 2):
        term.send(f"a red circle -S{seed} --save_intermediates=1\r")
        if log == "lies":
            term.see(f"{seed}.png")
            term.see("intermediates is a symbolic link")
        else:
            term.see("dream_log.txt is")
    term.send("!models\r")
    term.see("not a regular file")
    for name in ("no-weights", "no-card", "no-index", "zero"):
        term.send(f"a red circle --model {name}\r")
        term.see(f"--model {name}")
    for name, message in (("hostile.png", "dream>"), ("pipe.png", "pipe.png"), ("-1", "-1")):
        term.send(f"!show {name}\r")
        term.see(message)
    term.send("!history\r")
    term.see("!show -1")
    term.send("q\r")
    assert term.end() == 0
    assert is_as_before(term)
    after = listing(home, clone)
    new = {name for name in after if after[name] != before.get(name)}
    assert before.keys() <= after.keys()
    state = (".local", ".local/state", ".local/state/dream", ".local/state/dream/key")
    caches = (".cache", "tmp/torchinductor_")  # dream's digests of weights, and torch's own
    theirs = {name for name in new - {*state} if not name.startswith(caches)}
    assert theirs == set(), "its own key and caches, and nothing else"
    assert {*ours} <= {*list_names(outdir)}, "what it did not write is all there"
    made = [name for name in list_names(outdir) if name.startswith("00000") and name not in ours]
    assert len([name for name in made if name.endswith(".png")]) == (2 if log == "lies" else 0)
    if log == "lies":
        lines = (outdir / "dream_log.txt").read_text().splitlines()
        assert sum("sha256:" in line for line in lines) == 2
        assert not any("hostile.png" in line for line in lines)
