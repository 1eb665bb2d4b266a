"""ModelRegistry: finds models, VAEs and upscalers by name. Every call reads the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.adapter_registry import NO_ADAPTER_DIRS, AdapterDirs
from dream.catalogue.discovery import FILES, INDEX, find_models
from dream.catalogue.model_info import ModelInfo, UpscalerInfo
from dream.catalogue.models_toml import EXTRA_KEYS, FILE_NAME, Complain, read_entries
from dream.catalogue.read_model_info import read_model
from dream.catalogue.renamed_models import find_renamed, get_identity
from dream.catalogue.suggest import suggest_names
from dream.catalogue.unlisted import find_unlisted, list_unreadable_parts
from dream.catalogue.upscalers import (
    architecture_of,
    find_upscalers,
    info_outside_dirs,
    is_upscaler,
)
from dream.catalogue.vaes import find_vaes
from dream.core.errors import ModelError

SHIPPED = "tiny"
"""The model that comes with dream."""


@dataclass(frozen=True)
class ModelRegistry:
    """Finds models in the models folders, in order of precedence
    (`model_dirs.find_models_dirs`)."""

    models_dirs: Sequence[Path]
    offline: bool = False
    """No downloads: --offline."""
    adapter_dirs: AdapterDirs = NO_ADAPTER_DIRS
    wildcards_dir: Path | None = None
    """The folder of wildcards, besides those in the models folders."""
    hub_mirror: str = ""
    """An address that is tried before the hub's: --hub_mirror."""

    def get_model(self, name_or_path: str) -> ModelInfo:
        """The model of that name, or the folder or file at that path (`~` is expanded).

        Previous names work too. Raises ModelError with similar names and the folders searched, or
        with what the file is instead.
        """
        places = self.find_paths()
        name = name_or_path if name_or_path in places else self._current_name(name_or_path)
        if name in places:
            return self._read_info(name, places[name], _ignore)
        path = _as_path(name_or_path)
        if name_or_path and (_is_file(path / INDEX) or _is_file(path)):
            return self._read_info(self._name_of(path, places), path, _ignore)
        raise self._not_found(name_or_path, path, places)

    def list_models(self) -> tuple[ModelInfo, ...]:
        """Every model that can be read, sorted by name."""
        return tuple(self._iter_readable(_ignore))

    def find_paths(self) -> dict[str, Path]:
        """The path of every model by name, without checking that it can be read. Entries of
        models.toml take precedence over files, and are not listed twice."""
        entries = read_entries(self.models_dirs, _ignore)
        listed = {name: entry["path"] for name, entry in entries.items() if "path" in entry}
        paths = find_models(self.models_dirs)
        for name in find_renamed(entries, paths):
            del paths[name]
        return {**paths, **listed}

    def list_names(self) -> set[str]:
        """Every name that a line may have for a model: present and former ones, no paths."""
        entries, files = read_entries(self.models_dirs, _ignore), find_models(self.models_dirs)
        formerly = (old for name in entries for old in entries[name].get("formerly", ()))
        return {*self.find_paths(), *formerly, *find_renamed(entries, files)}

    def shadowed_by(self, folder: Path) -> dict[str, Path]:
        """The models of a models folder that hide others of the same name, by name; empty if it is
        not a models folder."""
        others = tuple(place for place in self.models_dirs if place != folder)
        if len(others) == len(self.models_dirs):
            return {}
        without = replace(self, models_dirs=others).find_paths()
        paths = self.find_paths().items()
        return {
            n: p for n, p in paths if n in without and get_identity(p) != get_identity(without[n])
        }

    def get_vae(self, name_or_path: str) -> Path:
        """The VAE of that name, or at that path, unread. Raises ModelError with similar names."""
        paths = find_vaes(self.models_dirs)
        path = _as_path(name_or_path)
        if name_or_path not in paths and name_or_path and (_is_file(path) or _is_folder(path)):
            return path
        if name_or_path not in paths:
            raise ModelError(
                f'there is no VAE "{name_or_path}" in {_join(self.models_dirs)}',
                suggest_names(name_or_path, paths) or "put VAE files into VAE/ in a models folder",
            )
        return paths[name_or_path]

    def list_vaes(self) -> tuple[str, ...]:
        """The names of all VAEs in the models folders."""
        return tuple(sorted(find_vaes(self.models_dirs)))

    def find_model(self, name_or_path: str | None) -> ModelInfo:
        """The same as `get_model`; without a name, the default model. Raises ModelError."""
        if name_or_path:
            return self.get_model(name_or_path)
        places = self.find_paths()
        return self._read_info(name := self._choose_default(places), places[name], _ignore)

    def get_default_model(self) -> str:
        """The model for lines without --model: the default in models.toml, else the shipped one,
        else the first by name. Raises ModelError if there are no models."""
        return self._choose_default(self.find_paths())

    def get_configured_default(self) -> str:
        """The model that models.toml marks as default; empty if there is none."""
        return self._choose_configured(self.find_paths())

    def get_upscaler(self, name_or_path: str) -> UpscalerInfo:
        """The upscaler of that name, on disk or to be downloaded, or the one at that path.

        Raises ModelError with similar names and the folders searched, or with what the file is
        instead.
        """
        infos = find_upscalers(self.models_dirs)
        info = infos.get(name_or_path)
        path = _as_path(name_or_path)
        if info is None and name_or_path and _safely(is_upscaler, path):
            inside = [info for info in infos.values() if info.path == path]
            info = inside[0] if inside else info_outside_dirs(path)
        if info is None:
            raise ModelError(
                f'there is no upscaler "{name_or_path}" in {_join(self.models_dirs)}',
                suggest_names(name_or_path, infos),
            )
        if not (info.is_on_disk or info.url):
            raise ModelError(
                f"{info.name} comes with dream, but it is not in {_join(self.models_dirs)}",
                "reinstall dream",
            )
        if self.offline and not info.is_on_disk:
            raise ModelError(
                f"{info.name} is not downloaded, and --offline is set",
                f"download {info.url} to {info.path} yourself",
            )
        if info.is_on_disk:
            architecture_of(info)
        return info

    def list_upscalers(self) -> tuple[UpscalerInfo, ...]:
        """Every upscaler on disk or known by name; the ones on disk first."""
        infos = find_upscalers(self.models_dirs).values()
        return tuple(
            sorted((c for c in infos if c.is_on_disk or c.url), key=lambda c: not c.is_on_disk)
        )

    def check_models_toml(self) -> tuple[str, ...]:
        """What is wrong with the models.toml files, one line each; no model is read."""
        warnings: list[str] = []
        read_entries(self.models_dirs, warnings.append)
        return tuple(warnings)

    def check_models(self) -> tuple[str, ...]:
        """What is wrong with models, models.toml and card.toml files, one line each."""
        warnings: list[str] = []
        named = {info.name for info in self._iter_readable(warnings.append)}
        warnings += [str(error) for error in find_unlisted(self.models_dirs).values()]
        warnings += list_unreadable_parts(self.models_dirs)
        entries = read_entries(self.models_dirs, warnings.append)
        warnings += [
            f"{FILE_NAME}: [models.{name}] is in none of the models folders"
            for name in entries
            if name not in named
            and not any(f"[models.{name}]: path =" in text for text in warnings)
        ]
        return tuple(dict.fromkeys(warnings))

    def _choose_default(self, places: Mapping[str, Path]) -> str:
        """Searches the folders again only where it must: it is asked for with every line."""
        name = self._choose_configured(places) or SHIPPED
        if name not in places:
            name = self._current_name(SHIPPED)
        if name not in places:
            name = min(places, default="")
        if not name:
            raise ModelError(
                f"there is no model in {_join(self.models_dirs)}",
                f"put a model into one of them: a single file, or a folder with {INDEX}",
            )
        return name

    def _choose_configured(self, places: Mapping[str, Path]) -> str:
        entries = read_entries(self.models_dirs, _ignore)
        defaults = (name for name in entries if "default" in entries[name] and name in places)
        return next(defaults, "")

    def _current_name(self, old: str) -> str:
        """The current name of a model with that previous name or file name; empty if none."""
        entries = read_entries(self.models_dirs, _ignore)
        renamed = next((name for name in entries if old in entries[name].get("formerly", ())), "")
        paths = {} if renamed else find_models(self.models_dirs)
        return renamed or find_renamed(entries, paths).get(old, "")

    def _read_info(self, name: str, path: Path, complain: Complain) -> ModelInfo:
        info = read_model(name, path, complain)
        entry = read_entries(self.models_dirs, _ignore).get(name, {})
        own = (*EXTRA_KEYS, *(() if _is_file(info.path) else ("edits",)))  # its pipeline says it
        values = {key: entry[key] for key in entry if key not in own}
        info = info.with_defaults(FILE_NAME, **values)
        if info.ema and not info.averages:
            complain(f"{FILE_NAME}: [models.{name}]: ema = true, but {path} has no EMA weights")
            info = replace(info, ema=False)
        if not _is_file(info.path):
            return info
        from dream.catalogue.complete_model import complete_model  # folders do not need it

        return complete_model(info, self.models_dirs)

    def _iter_readable(self, complain: Complain) -> Iterator[ModelInfo]:
        for name, path in sorted(self.find_paths().items()):
            try:
                yield self._read_info(name, path, complain)
            except ModelError as error:
                complain(str(error))

    def _name_of(self, path: Path, places: dict[str, Path]) -> str:
        same = (name for name, other in places.items() if other.samefile(path))
        return next(same, str(path))

    def _not_found(self, name: str, path: Path, places: dict[str, Path]) -> ModelError:
        if name and _is_folder(path):
            return ModelError(f"{path} is not a model in diffusers layout: it has no {INDEX}")
        for other, why in find_unlisted(self.models_dirs).items():
            if name in (other.name, other.stem):
                return why
        hint = suggest_names(_without_suffix(name), places)
        if not hint.startswith("did") and "/" in name and _is_hub_id(name):
            hint = f"to download it: !import_model {name}"
        return ModelError(f'there is no model "{name}" in {_join(self.models_dirs)}', hint)


def _without_suffix(name: str) -> str:
    """A model's name without the suffix of a file."""
    file = Path(name)
    return file.stem if file.suffix.lower() in FILES else name


def _as_path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # ~USER does not exist
        return Path(text).absolute()


def _safely(predicate: Callable[[Path], bool], path: Path) -> bool:
    try:
        return predicate(path)
    except OSError:  # not a valid path (too long), or no permission
        return False


def _is_file(path: Path) -> bool:
    return _safely(Path.is_file, path)


def _is_folder(path: Path) -> bool:
    return _safely(Path.is_dir, path)


def _is_hub_id(name: str) -> bool:
    from dream.catalogue.hub import parse_hub_id  # imports network code

    return parse_hub_id(name) is not None


def _join(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _ignore(complaint: str) -> None:
    """`ModelRegistry.check_models` reports them."""
