from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from dream.gallery import durable_files as disk
from dream.gallery.folder import list_names
from tests.gallery.checks import sound
from tests.gallery.writer import write


def test_a_suspended_program_does_not_hold_up_others_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with disk.open_exclusive(path), path.open() as second:
        assert not disk.lock(second.fileno(), timeout=0.01)
    with path.open("w") as second:
        assert disk.lock(second.fileno(), timeout=0.01)


def test_a_file_swept_before_it_was_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".000001.claim"
    locks = []

    def swept_once(file: int) -> bool:
        locks.append(file)
        if len(locks) == 1:
            disk.remove_stale_files(tmp_path)
        return True

    monkeypatch.setattr(disk, "lock", swept_once)
    with disk.open_exclusive(path):
        assert len(locks) == 2
        assert path.exists()
    assert not path.exists()


def test_what_another_holds_by_now_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / ".000001.claim"
    with disk.open_exclusive(path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_age_decides_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    write(tmp_path, 2, 2, 0)
    sound(tmp_path)
    with disk.open_exclusive(tmp_path / ".000009.claim"):
        (tmp_path / ".000008.claim").touch()
        os.utime(tmp_path / ".000008.claim", (0, 0))
        disk.remove_stale_files(tmp_path)
        assert [name for name in list_names(tmp_path) if name[0] == "."] == [".000009.claim"]
