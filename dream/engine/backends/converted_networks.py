"""The folder of converted networks: what is in it, whether it is whole, how large it may grow.

Each network is a folder `<key>` with model.xml, model.bin and info.json. It is written under
another name and renamed, so that it is whole or not there. What a process leaves half-written that
ended meanwhile is a failure of that network, so that it does not end the next one. Only these files
are ever deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

MAX_BYTES = 16 * 2**30
"""Of all converted networks together. A UNet of Stable Diffusion 1.5 in float32 takes 3.4 GB."""

XML, BIN, INFO = "model.xml", "model.bin", "info.json"
_FILES = {XML, BIN, INFO}
_FORMAT = 1
"""Of the folder; others are written anew."""
_PARTIAL = ".partial-"
_STARTED_WITHIN = 2.0
"""Seconds by which the start of one process may be measured differently by another."""
_SAMPLES, _SAMPLE = 64, 4096
"""How many places of model.bin are compared, and how many bytes of each."""


def get_engines_dir() -> Path:
    """Where what engines prepare is kept between sessions."""
    return user_cache_path("dream", appauthor=False) / "engines"


@dataclass(frozen=True)
class ConvertedNetwork:
    """One network in the folder."""

    folder: Path
    info: Mapping[str, Any]

    @property
    def xml(self) -> Path:
        """The file to open."""
        return self.folder / XML

    @property
    def failure(self) -> str:
        """Why this network cannot be used; empty if it can."""
        return str(self.info.get("failure", ""))

    def checked(self, shapes: object) -> bool | None:
        """Whether its result for these shapes was compared with torch's and was close enough; None
        if it was not compared yet."""
        value = self.info.get("checked", {}).get(str(shapes))
        return value if isinstance(value, bool) else None

    def crashed(self, attempt: object) -> bool:
        """Whether a process ended in this attempt to run it."""
        return str(attempt) in _list_crashed(self.info)


class ConvertedNetworks:
    """The folder. What cannot be written is not kept; nothing here raises OSError but `add`."""

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = get_engines_dir() / "openvino" if folder is None else folder
        self._max_bytes = max_bytes

    def find(self, key: str) -> ConvertedNetwork | None:
        """The network of that key, which is now the one used last; None if there is none, or if its
        files are not those that were written."""
        folder = self.folder / key
        if (info := _read_info(folder)) is None:
            self._record_crashes()
            info = _read_info(folder)
        if info is None or info.get("format") != _FORMAT:
            return None
        if "failure" not in info and not _is_whole(folder, info):
            _delete(folder)
            return None
        with suppress(OSError):
            os.utime(folder / INFO)
        return ConvertedNetwork(folder, info)

    def add(
        self, key: str, write: Callable[[Path], None], about: Mapping[str, Any]
    ) -> ConvertedNetwork:
        """Keep a network: `write` is called with the path of its xml file. If it ends the process,
        `find` returns a failure from then on, which names `about["engine"]`. Raises OSError, and
        what `write` raises."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._record_crashes()
        partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{os.getpid()}-{key}-", dir=self.folder))
        try:
            _write_info(partial, {**about, **_describe_writer()})
            write(partial / XML)
            info = {"format": _FORMAT, **about, "files": _describe_files(partial)}
            return self._commit(partial, key, info)
        finally:
            _delete(partial)

    def has_room(self, needed: int) -> bool:
        """Whether the disk of the folder has so many bytes free."""
        folder = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        with suppress(OSError):
            return shutil.disk_usage(folder).free >= needed
        return True

    def add_failure(self, key: str, why: str) -> None:
        """Remember that a network cannot be converted, so that it is not tried each time."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{os.getpid()}-", dir=self.folder))
            self._commit(partial, key, {"format": _FORMAT, "failure": why})

    def set_trying(self, network: ConvertedNetwork, attempt: object | None) -> None:
        """Remember what is being tried for the first time, or None when that has ended: if it ends
        the process, the next one knows."""
        info = {**network.info, "crashed": _list_crashed(network.info)}
        info.pop("trying", None)
        trying = {} if attempt is None else {"trying": str(attempt)}
        with suppress(OSError):
            _write_info(network.folder, {**info, **trying})

    def set_checked(
        self, network: ConvertedNetwork, shapes: object, good: bool
    ) -> ConvertedNetwork:
        """Remember how the comparison with torch ended."""
        checked = {**network.info.get("checked", {}), str(shapes): good}
        crashed = _list_crashed(network.info)
        info = {**network.info, "checked": checked, "crashed": crashed}
        info.pop("trying", None)
        with suppress(OSError):
            _write_info(network.folder, info)
        return ConvertedNetwork(network.folder, info)

    def _commit(self, partial: Path, key: str, info: Mapping[str, Any]) -> ConvertedNetwork:
        _write_info(partial, info)
        final = self.folder / key
        _delete(final)
        self._make_room(_size(partial))
        with suppress(OSError):  # another process was faster
            partial.rename(final)
        if _read_info(final) is None:
            raise OSError(f"{final} cannot be written")
        return ConvertedNetwork(final, info)

    def _make_room(self, needed: int) -> None:
        """Delete the networks used least recently."""
        known = [folder for folder in self.folder.iterdir() if _read_info(folder) is not None]
        known = [folder for folder in known if not folder.name.startswith(_PARTIAL)]
        known.sort(key=lambda folder: (folder / INFO).stat().st_mtime_ns)
        total = sum(map(_size, known))
        while known and total + needed > self._max_bytes:
            oldest = known.pop(0)
            total -= _size(oldest)
            _delete(oldest)

    def discard_partial(self, writer: int) -> None:
        """Delete what a process left half-written that was stopped on purpose."""
        for folder in self.folder.glob(f"{_PARTIAL}{writer}-*"):
            _delete(folder)

    def _record_crashes(self) -> None:
        """Delete what processes left half-written that have ended; each network among it is a
        failure now, unless its parent has ended too, as when the prompt is closed while its worker
        converts. Other processes may be writing theirs."""
        for folder in self.folder.glob(f"{_PARTIAL}*"):
            writer, _, rest = folder.name.removeprefix(_PARTIAL).partition("-")
            about = _read_info(folder) or {}
            if not writer.isdigit() or _is_running(int(writer), about.get("started")):
                continue
            key = rest.rpartition("-")[0]
            parent, since = about.get("parent"), about.get("parent_started")
            has_parent = not isinstance(parent, int) or _is_running(parent, since)
            if key and has_parent and _read_info(self.folder / key) is None:
                self.add_failure(key, self._explain_crash(key, str(about.get("engine", ""))))
            _delete(folder)

    def _explain_crash(self, key: str, engine: str) -> str:
        place = "/".join((*self.folder.parts[-2:], key))
        return (
            f"the process ended while {engine or 'OpenVINO'} converted it"
            f" (to try again, delete {place} in dream's cache or install another version)"
        )


def _describe_writer() -> dict[str, Any]:
    """This process and its parent, for the next one that finds what they left."""
    import psutil

    about: dict[str, Any] = {"started": psutil.Process().create_time()}
    with suppress(psutil.Error):
        parent = psutil.Process(os.getppid())
        about |= {"parent": parent.pid, "parent_started": parent.create_time()}
    return about


def _is_running(pid: int, started: object) -> bool:
    """Whether a process has not ended. `started`: its seconds since the epoch, if they are known:
    another process may have its number by now."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        apart = process.create_time() - started if isinstance(started, float) else 0.0
        return abs(apart) <= _STARTED_WITHIN
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # another user's
        return True


def _list_crashed(info: Mapping[str, Any]) -> list[str]:
    """The attempts that ended a process, with one that was never reported as ended."""
    known = info.get("crashed", [])
    last = [info["trying"]] if "trying" in info else []
    return sorted({*map(str, known), *map(str, last)}) if isinstance(known, list) else last


def _read_info(folder: Path) -> dict[str, Any] | None:
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) else None


def _write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Atomically."""
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, prefix=INFO, delete=False, encoding="utf-8"
    ) as file:
        json.dump(dict(info), file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder / INFO)


def _describe_files(folder: Path) -> dict[str, Any]:
    """The sizes of both files, and a hash of the first and of samples of the second. Raises
    OSError."""
    xml, weights = folder / XML, folder / BIN
    size = weights.stat().st_size
    digest = hashlib.sha256(xml.read_bytes())
    with weights.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE) * number // max(1, _SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return {XML: xml.stat().st_size, BIN: size, "sha256": digest.hexdigest()}


def _is_whole(folder: Path, info: Mapping[str, Any]) -> bool:
    try:
        return bool(info.get("files") == _describe_files(folder))
    except OSError:
        return False


def _size(folder: Path) -> int:
    total = 0
    for name in _FILES:
        with suppress(OSError):
            total += (folder / name).stat().st_size
    return total


def _delete(folder: Path) -> None:
    """Delete the files that are written here, and the folder if it is empty then."""
    for file in folder.glob("*") if folder.is_dir() else ():
        if file.name in _FILES or file.name.startswith(INFO):
            with suppress(OSError):
                file.unlink()
    with suppress(OSError):
        folder.rmdir()
