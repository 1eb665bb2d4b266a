"""Commands about wildcards."""

from __future__ import annotations

from dream.catalogue.wildcard_files import WildcardFiles
from dream.commands.command import Context, Line, TextOutput
from dream.core.events import Events
from dream.prompt import TemplateError

_SHOWN = 4
"""Values that are listed of each wildcard."""


def list_wildcards(context: Context, argument: str) -> Events[None]:
    """!wildcards [TEXT]: list the names that `__name__` in a prompt can have, with the number of
    their values and the first ones; and files that cannot be read."""
    files = WildcardFiles.of(context.session.registry)
    wanted = argument.strip().casefold()
    lines: list[Line] = []
    problems: list[Line] = [f"  ! {problem}" for problem in files.problems]
    for name in files.names:
        if wanted not in name.casefold():
            continue
        try:
            values = files.get(name)
        except TemplateError as error:
            problems.append(f"  ! {error.message}")
            continue
        some = ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")
        count = "1 value" if len(values) == 1 else f"{len(values):,} values"
        lines.append((f"  __{name}__", f"{count}: {some}" if values else "no values"))
    if not lines and not problems:
        where = files.folders[0] if files.folders else "wildcards"
        lines = [f"there is no wildcard; put a .txt with a value on each line into {where}/"]
    yield TextOutput(lines=(*lines, *problems))
