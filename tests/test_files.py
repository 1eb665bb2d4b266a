"""Files that a person and several programs share are edited without a loss."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dream.catalogue.models_toml_writer import remove_entry, rename_entry, set_values
from dream.config.settings_file import save_settings
from dream.core.errors import BadSetting, GalleryError, ModelError
from dream.core.own_files import (
    edit_locked,
    new_beside,
    open_own,
    read_own,
    refuse_link,
    replace_own,
    rewrite,
)
from dream.core.request import Request
from dream.gallery import Gallery
from dream.terminal.history_file import LineHistory

EDITOR = """
import sys
from pathlib import Path
from dream.catalogue.models_toml_writer import set_values
from dream.core.request import Request
from dream.config.settings_file import save_settings
folder, who = Path(sys.argv[1]), int(sys.argv[2])
sys.stdin.readline()
for number in range(8):
    set_values((folder,), f"m{who}_{number}", {"description": "x"})
save_settings((Request(steps=33), Request(cfg_scale=3.0))[who], [folder / "dream.toml"])
"""


def test_two_programs_that_edit_lose_nothing(tmp_path: Path) -> None:
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", EDITOR, str(tmp_path), str(who)], stdin=subprocess.PIPE
        )
        for who in range(2)
    ]
    for editor in editors:
        assert editor.stdin is not None
        editor.stdin.write(b"go\n")
        editor.stdin.close()
    assert [editor.wait() for editor in editors] == [0, 0]
    assert len(tomllib.loads((tmp_path / "models.toml").read_text())["models"]) == 16
    # What both wrote at the same time is in it; the second to come took nothing of the first out.
    assert tomllib.loads((tmp_path / "dream.toml").read_text()).keys() <= {"steps", "cfg_scale"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dream.toml", "models.toml"]


def test_through_a_link_its_target_is_changed_and_its_mode_stays(tmp_path: Path) -> None:
    dotfiles, folder = tmp_path / "dotfiles", tmp_path / "here"
    dotfiles.mkdir()
    folder.mkdir()
    for name, text in (("models.toml", "[models.a]\nsteps = 5\n"), ("dream.toml", "steps = 20\n")):
        (dotfiles / name).write_text(text)
        (dotfiles / name).chmod(0o600)
        (folder / name).symlink_to(Path("..", "dotfiles", name))
    set_values((folder,), "b", {"description": "y", "path": folder / "b"})
    assert rename_entry((folder,), "b", "c", folder / "b").parent == folder
    assert remove_entry((folder,), "a")
    save_settings(Request(steps=33), [folder / "dream.toml"])
    models = tomllib.loads((dotfiles / "models.toml").read_text())["models"]
    assert models == {"c": {"description": "y", "path": "b", "formerly": ["b"]}}
    assert tomllib.loads((dotfiles / "dream.toml").read_text()) == {"steps": 33}
    for name in ("models.toml", "dream.toml"):
        assert (folder / name).is_symlink()
        assert (dotfiles / name).stat().st_mode & 0o777 == 0o600
    assert len(list(dotfiles.iterdir())) == len(list(folder.iterdir())) == 2, "no litter"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_that_leads_out_of_the_current_folder_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    clone = tmp_path / "clone"
    (clone / "models").mkdir(parents=True)
    victim = tmp_path / "victim"
    if there:
        victim.touch()
    for link in (clone / "dream.toml", clone / "models" / "models.toml"):
        link.symlink_to(victim)
    monkeypatch.chdir(clone)
    with pytest.raises(BadSetting, match="symbolic link out of this folder"):
        save_settings(Request(steps=33), [Path("dream.toml")])
    with pytest.raises(ModelError, match="symbolic link out of this folder"):
        set_values((clone / "models",), "b", {"description": "y"})
    assert victim.exists() == there
    assert not there or victim.read_bytes() == b""


def test_a_new_settings_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    save_settings(Request(steps=33), [tmp_path / "dream.toml"])
    (tmp_path / "any").touch()
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_half_a_file_is_never_there_and_a_failure_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("whole")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), edit_locked(file) as target:
        rewrite(target, "half")
    assert file.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_dream_s_own_is_a_regular_file_by_its_own_name(tmp_path: Path) -> None:
    victim, link, pipe = tmp_path / "victim", tmp_path / "link", tmp_path / "pipe"
    victim.write_text("mine")
    link.symlink_to(victim)
    subprocess.run(["mkfifo", str(pipe)], check=True)
    for path, why in ((link, "link is a symbolic link"), (pipe, "pipe is not a regular file")):
        for touch in (open_own, read_own, lambda path: replace_own(path, b"theirs")):
            with pytest.raises(OSError, match=why):
                touch(path)
    with pytest.raises(OSError, match="tmp_path is a symbolic link"):
        (tmp_path / "tmp_path").symlink_to(tmp_path)
        refuse_link(tmp_path / "tmp_path")
    assert victim.read_text() == "mine" and link.is_symlink() and pipe.is_fifo()
    replace_own(victim, b"ours")
    assert read_own(victim) == b"ours" and read_own(victim, 2) == b"rs"
    assert victim.stat().st_mode & 0o777 == 0o600
    names = {new_beside(victim)[0].name for _ in range(3)}
    assert len(names) == 3, "nobody foresees them"


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    log = tmp_path / "dream_log.txt"
    with log.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r"dream_log.txt is larger than 268,435,456 bytes"):
        read_own(log)
    assert read_own(log, 16) == bytes(16)
    with pytest.raises(GalleryError, match=r"exceed the file size limit"):
        Gallery(tmp_path).recover()
    log.rename(tmp_path / ".dream_history")
    assert LineHistory(tmp_path / ".dream_history", print).read_lines() == []
