"""dream: generate images from prompts on your own machine.

import dream

with dream.open(model="tiny", outdir="pictures") as session:
    for event in session.make("a red circle on a blue background -S42"):
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
    """Open a session: the model runs in a process of its own; lines go in, events come out.

    `defaults` are fields of `Request` (steps, seed, width, outdir, upscale …) for every line that
    does not set them; dream.toml is not read. Close the session, or use it in a `with`. With
    `previews` some Step events carry a preview of the image. Raises BadLine for a default that is
    out of range and TypeError for one that does not exist; later errors arrive as Rejected and
    Failed events.
    """
    # Imported here so that `import dream` is fast and every package can import it.
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
