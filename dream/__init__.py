"""dream: make pictures from words, at a prompt, on your own machine.

import dream

with dream.open(model="tiny", outdir="pictures") as studio:
    for event in studio.make("a red circle on a blue background -S42"):
        print(event)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dream.session import Session

__version__ = "0.1.0"


def open(
    model: str | None = None,
    *,
    models_dir: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    previews: bool = False,
    **defaults: Any,
) -> Session:
    """A studio: the model in memory in a process of its own, lines in, events out.

    `defaults` are fields of `Request` (steps, seed, width, outdir, upscale …) and
    stand for every line that does not say otherwise; dream.toml is not read. Close the studio, or
    use it in a `with`. With `previews` some of the Step events carry a rough look at the picture.
    Raises BadLine for a default that is out of range and TypeError for one
    that does not exist; what goes wrong later arrives as Refused and Failed events.
    """
    # Imported here so that `import dream` costs nothing, and every room can import the package.
    from dream.cli.session_factory import create_session
    from dream.core.cli_options import CliOptions
    from dream.core.environment import lend_home
    from dream.core.request import Request
    from dream.session import check_ranges

    lend_home()
    base = Request(model=model, **defaults)
    check_ranges(base)
    launch = CliOptions(models_dir=models_dir, device=device, precision=precision)
    return create_session(launch, base, previews=previews)


__all__ = ["__version__", "open"]
