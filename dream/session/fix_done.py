"""Finds which of the images of a `!fix` line are already done: those with a result, and the results
themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import DreamError
from dream.core.file_names import path_exists_at
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.core.stages import get_stages
from dream.gallery import INPUTS_FOLDER, LOG_NAME, parse_logged_name, read_log, read_record
from dream.inputs import hash_file
from dream.line import format_line, parse_facts, parse_log_line, split_words
from dream.line.words import split_line
from dream.session.fix_names import Several
from dream.session.name_checks import check_recipes
from dream.session.output import folder_of
from dream.session.resolve import resolve_sweep

if TYPE_CHECKING:
    from dream.session.session import Session

_SEED = re.compile(r"-S[0-9]+")


@dataclass(frozen=True)
class Remaining:
    """The images that are not done yet."""

    lines: tuple[str, ...]
    done: int = 0
    """Number of images whose result is in the log and on disk."""
    results: int = 0
    """Number of images that are such results themselves."""


class _Result(NamedTuple):
    """An image in the log that was made from another one."""

    source: Path
    sha256: str
    """The beginning of the source's SHA-256."""
    seed: str


def remaining(session: Session, several: Several) -> Remaining:
    """The lines of the images that are not done yet. An error with one is reported when it is run;
    an error that all of them have is raised. Reads the outdir's log once, and each image's record.
    Raises DreamError."""
    lines: list[str] = []
    errors: list[DreamError] = []
    logs = _Logs(session)
    done = results = 0
    for file in several.files:
        line = several.line(file)
        try:
            request, recipes = _plan(session, line)
            folder = folder_of(request, session.outdir, recipes[0].prompt)
            if _is_result(file, folder, recipes[0]):
                results += 1
                continue
            if logs.hold(folder, file, recipes, any_seed=request.seed is None):
                done += 1
                continue
        except DreamError as error:
            errors.append(error)
        lines.append(line)
    if len(errors) == len(several.files) > 1 and len({str(error) for error in errors}) == 1:
        raise errors[0]
    return Remaining(tuple(lines), done, results)


def _plan(session: Session, line: str) -> tuple[Request, Sequence[Recipe]]:
    """The request of a line and its recipes, with seed 0 if there is none. Raises as `resolve`."""

    def find(name: str | None) -> ModelInfo:
        return session.registry.find_model(name)

    sweep = session.parse_sweep(line)
    resolved = resolve_sweep(sweep, find, session.seeds, lambda: 0, session.find_picture)
    check_recipes(session.registry, resolved.recipes)
    return sweep.first, resolved.recipes


def _is_result(file: Path, folder: Path, recipe: Recipe) -> bool:
    """Whether an image in the output folder is a result: dream processed it with one of the
    recipe's stages."""
    with suppress(DreamError, OSError):
        if file.parent.resolve() == folder.resolve():
            record = read_record(file).request
            return "fix" in record and any(
                stage.recipe_fields[0] in record for stage in get_stages(recipe)
            )
    return False


class _Logs:
    """The results in the logs of several folders, each read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folders: dict[Path, dict[tuple[str, ...], list[_Result]]] = {}

    def hold(self, folder: Path, file: Path, recipes: Sequence[Recipe], *, any_seed: bool) -> bool:
        """Whether all results of a file exist already: from the same bytes, with the same values,
        and with the same seed unless `any_seed`. Raises InputError."""
        logged = self._results_in(folder)
        wanted = Counter(_values(format_line(recipe.to_request()), any_seed) for recipe in recipes)
        for (values, seed), count in wanted.items():
            results = [
                result
                for result in logged.get(values, ())
                if (any_seed or result.seed == seed)
                and (result.source.name == file.name or result.source.parent.name == INPUTS_FOLDER)
            ]
            # The file is read only if its name and values are in the log.
            if not results or count > _of_same_bytes(results, file):
                return False
        return True

    def _results_in(self, folder: Path) -> dict[tuple[str, ...], list[_Result]]:
        if folder not in self._folders:
            self._folders[folder] = {}
            with suppress(DreamError):
                for values, result in _results(folder):
                    self._folders[folder].setdefault(values, []).append(result)
        return self._folders[folder]


def _of_same_bytes(results: Sequence[_Result], file: Path) -> int:
    sha256 = hash_file(file)
    return sum(sha256.startswith(result.sha256) for result in results)


def _results(folder: Path) -> Iterator[tuple[tuple[str, ...], _Result]]:
    """The values and sources of all results that still exist in a folder. Raises GalleryError if
    there is no log."""
    for _, text in read_log(folder / LOG_NAME):
        if "!fix" not in text:
            continue
        logged = parse_log_line(text)
        parts = split_line(logged.line)
        sha256 = parse_facts(logged.comment).get("fix", "")
        if not (logged.path and parts.fixes and parts.prompt and sha256):
            continue
        if path_exists_at(folder / parse_logged_name(text)):
            values, seed = _values(logged.line, any_seed=False)
            yield values, _Result(Path(parts.prompt.text), sha256, seed)


def _values(line: str, any_seed: bool) -> tuple[tuple[str, ...], str]:
    """The switches of a logged `!fix` line without its seed; and the seed's, or "" for any."""
    prompt = split_line(line).prompt
    switches = [word.text for word in split_words(line, prompt.end if prompt else 0)]
    seed = next((word for word in switches if _SEED.fullmatch(word)), "")
    return tuple(word for word in switches if word != seed), "" if any_seed else seed
