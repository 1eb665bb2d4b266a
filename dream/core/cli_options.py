"""The second table: what is said once, when `dream` starts. The flags of `Request` are accepted
there too, and become every line's defaults."""

from __future__ import annotations

from dataclasses import dataclass

from dream.options.option_type import BOOLEAN_FLAG, choice, flag, get_flags, integer, real, text

_RUN = "what to do"
_MACHINE = "machine"
_PICTURES = "pictures in the terminal"

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class CliOptions:
    """How this run of `dream` goes. Frozen, like everything."""

    from_file: str | None = flag(
        "--from_file",
        kind=text("FILE", "a file of lines, or - for standard input", completes="file"),
        section=_RUN,
        help="make every line of a list of prompts or a dream_log.txt, and leave; - is stdin",
    )
    verify: str | None = flag(
        "--verify",
        kind=text("LOG", "a dream_log.txt", completes="file"),
        section=_RUN,
        help="render a log again, without saving, and compare with its record",
    )
    dry_run: bool = flag(
        "--dry_run",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="print the lines that would be made",
    )
    json: bool = flag(
        "--json",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="one JSON object per event on stdout",
    )
    doctor: bool = flag(
        "--doctor",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="look at this installation and say how it is",
    )
    version: bool = flag(
        "--version", kind=BOOLEAN_FLAG, default=False, section=_RUN, help="print the version"
    )
    help: bool = flag(
        "-h", "--help", kind=BOOLEAN_FLAG, default=False, section=_RUN, help="print this page"
    )
    models_dir: str | None = flag(
        "--models_dir",
        kind=text("FOLDER", "a folder", completes="folder"),
        section=_MACHINE,
        help="where models lie, besides the shipped ones",
    )
    offline: bool = flag(
        "--offline",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_MACHINE,
        help="fetch nothing, whatever is asked for; so does HF_HUB_OFFLINE=1",
    )
    device: str = flag(
        "--device",
        "-d",
        kind=text("DEVICE", "auto, cpu, cuda, cuda:N or mps"),
        default="auto",
        section=_MACHINE,
        help="auto, cpu, cuda, cuda:N or mps",
    )
    precision: str = flag(
        "--precision",
        kind=choice(*PRECISIONS, metavar="TYPE"),
        default="auto",
        section=_MACHINE,
        help="the number type of the weights: " + ", ".join(PRECISIONS),
    )
    max_loaded_models: int = flag(
        "--max_loaded_models",
        kind=integer(1, 99),
        default=2,
        section=_MACHINE,
        help="models kept in memory; the ones used least recently leave first",
    )
    max_memory: float | None = flag(
        "--max_memory",
        kind=real(0.1),
        section=_MACHINE,
        help="GiB of memory for all models together; otherwise what is free",
    )
    low_memory: str = flag(
        "--low_memory",
        kind=choice("auto", "off", "model", "group", "sequential", metavar="WAY"),
        default="auto",
        section=_MACHINE,
        help="weights visit the GPU by part (model), by layer (group), by layer when it is their "
        "turn (sequential); auto does so where they do not fit",
    )
    preview: str = flag(
        "--preview",
        kind=choice("auto", "off", "final", "live", metavar="WHICH"),
        default="auto",
        section=_PICTURES,
        help="auto shows the picture while it is made and when it is finished; or one, or neither",
    )
    preview_protocol: str = flag(
        "--preview_protocol",
        kind=choice("auto", "kitty", "iterm2", "sixel", "symbols", metavar="HOW"),
        default="auto",
        section=_PICTURES,
        help="auto asks the terminal; or kitty, iterm2, sixel, symbols (any terminal has those)",
    )
    preview_size: int = flag(
        "--preview_size",
        kind=integer(4, 400),
        default=32,
        section=_PICTURES,
        help="columns of a picture in the terminal, at most",
    )


CLI_FLAGS = get_flags(CliOptions)
"""The rows of the table, by field name."""
