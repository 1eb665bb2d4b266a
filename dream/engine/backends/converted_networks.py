"""The folder of converted networks: what is in it, whether it is whole, how large it may grow.

Each network is a folder `<key>` with model.xml, model.bin and info.json. It is written under
another name and renamed, so that it is whole or not there. What a process leaves half-written that
ended meanwhile is a failure of that network, so that it does not end the next one. Only these files
are ever deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from platformdirs import user_cache_path

from dream.engine.backends.network_files import (
    INFO,
    XML,
    delete_network,
    describe_files,
    is_whole,
    measure_size,
    read_info,
    write_info,
)
from dream.engine.backends.writers import describe_writer, has_crashed, has_ended

MAX_BYTES = 16 * 2**30
"""Of all converted networks together. A UNet of Stable Diffusion 1.5 in float32 takes 3.4 GB."""

_STARTS = 16
"""How many of a network's are remembered."""

_FORMAT = 2
"""Of the folder; others are written anew."""
_PARTIAL = ".partial-"


def get_engines_dir() -> Path:
    """Where what engines prepare is kept between sessions."""
    return user_cache_path("dream", appauthor=False) / "engines"


class FirstCall(NamedTuple):
    """The first call of a network."""

    shapes: tuple[tuple[int, ...], ...]
    precision: str
    """Of the arithmetic, as OpenVINO calls it: "f32"."""
    threads: int


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
    def structure(self) -> str:
        """Of its results: see `network_call.unflatten`."""
        return str(self.info.get("structure", ""))

    @property
    def failure(self) -> str:
        """Why this network cannot be used; empty if it can."""
        return str(self.info.get("failure", ""))

    def checked(self, shapes: object) -> bool | None:
        """Whether its result for these shapes was compared with torch's and was close enough; None
        if it was not compared yet."""
        value = self.info.get("checked", {}).get(str(shapes))
        return value if isinstance(value, bool) else None

    def tried(self, attempt: object) -> bool:
        """Whether another process tried to run it so, and came to its end."""
        return str(attempt) in _list_of(self.info, "tried")

    def get_start(self, start: str) -> FirstCall | None:
        """What lines of this description begin with, see `early_compile`; None where that is not
        known."""
        try:
            shapes, precision, threads = self.info["starts"][start]
            sizes = tuple(tuple(map(int, shape)) for shape in shapes)
            return FirstCall(sizes, str(precision), int(threads))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def was_tried(self) -> bool:
        """Whether that is known for any sizes."""
        return bool(_list_of(self.info, "tried"))

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
        if (info := read_info(folder)) is None:
            self._record_crashes()
            info = read_info(folder)
        if info is None or info.get("format") != _FORMAT:
            return None
        if "failure" not in info and not is_whole(folder, info):
            delete_network(folder)
            return None
        with suppress(OSError):
            os.utime(folder / INFO)
        return ConvertedNetwork(folder, info)

    def find_start(self, start: str) -> ConvertedNetwork | None:
        """The network that the last line of this description began with; None if there is none, or
        if it is damaged."""
        with suppress(OSError):
            infos = [(file.stat().st_mtime_ns, file) for file in self.folder.glob(f"*/{INFO}")]
            for _, file in sorted(infos, reverse=True):
                known = ConvertedNetwork(file.parent, read_info(file.parent) or {})
                if known.get_start(start) is not None:
                    return self.find(file.parent.name)
        return None

    def add(
        self, key: str, write: Callable[[Path], str | None], about: Mapping[str, Any]
    ) -> ConvertedNetwork:
        """Keep a network: `write` is called with the path of its xml file, and returns the
        structure of its results. If it ends the process,
        `find` returns a failure from then on, which names `about["engine"]`. Raises OSError, and
        what `write` raises."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._record_crashes()
        partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{os.getpid()}-{key}-", dir=self.folder))
        try:
            write_info(partial, {**about, **describe_writer()})
            structure = write(partial / XML) or ""
            info = {"format": _FORMAT, **about, "structure": structure}
            info["files"] = describe_files(partial)
            return self._commit(partial, key, info)
        finally:
            delete_network(partial)

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
        """Remember what this process is trying for the first time, or None when that has ended: if
        it ends the process, the next one knows."""
        info = _read_again(network)
        if attempt is not None:
            info |= {"trying": str(attempt), "trying_by": describe_writer()}
        elif _get_writer(info).get("pid") == os.getpid():
            del info["trying"], info["trying_by"]
        _rewrite(network, info)

    def set_tried(self, network: ConvertedNetwork, attempt: object, good: bool) -> ConvertedNetwork:
        """Remember whether another process that tried it came to its end."""
        info, name = _read_again(network), "tried" if good else "crashed"
        info[name] = sorted({*_list_of(info, name), str(attempt)})
        return _rewrite(network, info)

    def set_start(self, network: ConvertedNetwork, start: str, known: FirstCall) -> None:
        """Remember what a line of this description began with; of the last ones."""
        found = json.loads(json.dumps(known))
        starts = _read_again(network).get("starts")
        starts = starts if isinstance(starts, dict) else {}
        if starts.get(start) != found:
            kept = list({**starts, start: found}.items())[-_STARTS:]
            _rewrite(network, {**_read_again(network), "starts": dict(kept)})

    def set_checked(
        self, network: ConvertedNetwork, shapes: object, good: bool
    ) -> ConvertedNetwork:
        """Remember how the comparison with torch ended."""
        info = _read_again(network)
        info["checked"] = {**info.get("checked", {}), str(shapes): good}
        return _rewrite(network, info)

    def _commit(self, partial: Path, key: str, info: Mapping[str, Any]) -> ConvertedNetwork:
        write_info(partial, info)
        final = self.folder / key
        delete_network(final)
        self._make_room(measure_size(partial))
        with suppress(OSError):  # another process was faster
            partial.rename(final)
        if read_info(final) is None:
            raise OSError(f"{final} cannot be written")
        return ConvertedNetwork(final, info)

    def _make_room(self, needed: int) -> None:
        """Delete the networks used least recently."""
        known = [folder for folder in self.folder.iterdir() if read_info(folder) is not None]
        known = [folder for folder in known if not folder.name.startswith(_PARTIAL)]
        known.sort(key=lambda folder: (folder / INFO).stat().st_mtime_ns)
        total = sum(map(measure_size, known))
        while known and total + needed > self._max_bytes:
            oldest = known.pop(0)
            total -= measure_size(oldest)
            delete_network(oldest)

    def discard_partial(self, writer: int) -> None:
        """Delete what a process left half-written that was stopped on purpose."""
        for folder in self.folder.glob(f"{_PARTIAL}{writer}-*"):
            delete_network(folder)

    def _record_crashes(self) -> None:
        """Delete what processes left half-written that have ended; each network among it is a
        failure now, unless its parent has ended too, as when the prompt is closed while its worker
        converts. Other processes may be writing theirs."""
        for folder in self.folder.glob(f"{_PARTIAL}*"):
            writer, _, rest = folder.name.removeprefix(_PARTIAL).partition("-")
            about = {**(read_info(folder) or {}), "pid": int(writer) if writer.isdigit() else 0}
            if not writer.isdigit() or not has_ended(about):
                continue
            key = rest.rpartition("-")[0]
            if key and has_crashed(about) and read_info(self.folder / key) is None:
                self.add_failure(key, self._explain_crash(key, str(about.get("engine", ""))))
            delete_network(folder)

    def _explain_crash(self, key: str, engine: str) -> str:
        place = "/".join((*self.folder.parts[-2:], key))
        return (
            f"the process ended while {engine or 'OpenVINO'} converted it"
            f" (to try again, delete {place} in dream's cache or install another version)"
        )


def _list_crashed(info: Mapping[str, Any]) -> list[str]:
    """The attempts that ended a process, with one that a process did not report as ended before it
    ended itself."""
    crashed = set(_list_of(info, "crashed"))
    if "trying" in info and has_crashed(_get_writer(info)):
        crashed.add(str(info["trying"]))
    return sorted(crashed)


def _list_of(info: Mapping[str, Any], name: str) -> list[str]:
    """Attempts; none where the file was damaged."""
    found = info.get(name)
    return [*map(str, found)] if isinstance(found, list) else []


def _get_writer(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The process that is trying something, or was."""
    found = info.get("trying_by")
    return found if isinstance(found, dict) else {}


def _read_again(network: ConvertedNetwork) -> dict[str, Any]:
    """What is recorded of a network by now: other processes use it, too."""
    info = {**(read_info(network.folder) or network.info)}
    info["crashed"] = _list_crashed(info)
    if has_ended(_get_writer(info)):
        info = {k: v for k, v in info.items() if k not in {"trying", "trying_by"}}
    return info


def _rewrite(network: ConvertedNetwork, info: Mapping[str, Any]) -> ConvertedNetwork:
    with suppress(OSError):
        write_info(network.folder, info)
    return ConvertedNetwork(network.folder, info)
