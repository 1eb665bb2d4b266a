"""The table of launch options. The flags of `Request` are accepted on the command line too, and
become the defaults of every line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dream.options.launch_values import BATCH_NAME, WEB_ADDRESS, WORKERS, WebAddress, WorkersOption
from dream.options.option_type import BOOLEAN_FLAG, choice, flag, get_flags, integer, real, text

_RUN = "what to run"
_MACHINE = "machine"
_PICTURES = "images in the terminal"
_WEB = "web page and API"

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class CliOptions:
    """The options of one run of `dream`. Frozen."""

    from_file: str | None = flag(
        "--from_file",
        kind=text("FILE", "a file of lines, or - for stdin", completes="file"),
        section=_RUN,
        help="run every line of a prompt list or a dream_log.txt, then exit; - is stdin",
    )
    verify: str | None = flag(
        "--verify",
        kind=text("LOG", "a dream_log.txt", completes="file"),
        section=_RUN,
        help="render every line of a log again, without saving, and compare with the log",
    )
    resume: str | None = flag(
        "--resume",
        kind=BATCH_NAME,
        section=_RUN,
        help="continue a batch that --from_file with --workers did not complete; without NAME, list"
        " them if there are several",
    )
    dry_run: bool = flag(
        "--dry_run",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="print the lines that would run",
    )
    json: bool = flag(
        "--json",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="print one JSON object per event to stdout",
    )
    doctor: bool = flag(
        "--doctor",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_RUN,
        help="check this installation and report problems",
    )
    version: bool = flag(
        "--version", kind=BOOLEAN_FLAG, default=False, section=_RUN, help="print the version"
    )
    help: bool = flag(
        "-h", "--help", kind=BOOLEAN_FLAG, default=False, section=_RUN, help="print this page"
    )
    models_dir: str | None = flag(
        "--models_dir",
        kind=replace(text("FOLDER", "a folder", completes="folder"), repeats=True),
        section=_MACHINE,
        help="folder of models, in addition to those included: dream's, ComfyUI's, AUTOMATIC1111's,"
        " InvokeAI's, SwarmUI's or a hub cache; several with commas, or repeated",
    )
    lora_dir: str | None = flag(
        "--lora_dir",
        "--lora_directory",
        kind=text("FOLDER", "a folder", completes="folder"),
        section=_MACHINE,
        help="folder of LoRAs, in addition to those in the models folders",
    )
    embedding_dir: str | None = flag(
        "--embedding_dir",
        "--embedding_directory",
        "--embedding_path",
        kind=text("FOLDER", "a folder", completes="folder"),
        section=_MACHINE,
        help="folder of embeddings, in addition to those in the models folders",
    )
    wildcards_dir: str | None = flag(
        "--wildcards_dir",
        kind=text("FOLDER", "a folder", completes="folder"),
        section=_MACHINE,
        help="folder of the files that __name__ in a prompt chooses from (default: wildcards/ in"
        " the current folder), in addition to wildcards/ in the models folders",
    )
    offline: bool = flag(
        "--offline",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_MACHINE,
        help="do not use the network; HF_HUB_OFFLINE=1 does the same",
    )
    hub_mirror: str | None = flag(
        "--hub_mirror",
        kind=text("URL", "the https address of a mirror of the hub"),
        section=_MACHINE,
        help="mirror of the Hugging Face hub to try first; it never gets your token",
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
        help="weight data type: " + ", ".join(PRECISIONS),
    )
    max_loaded_models: int = flag(
        "--max_loaded_models",
        kind=integer(1, 99),
        default=2,
        section=_MACHINE,
        help="models kept in memory; the least recently used is unloaded first",
    )
    max_memory: float | None = flag(
        "--max_memory",
        kind=real(0.1),
        section=_MACHINE,
        help="memory limit for all models together, in GiB (default: the free memory)",
    )
    low_memory: str = flag(
        "--low_memory",
        kind=choice("auto", "off", "model", "group", "sequential", metavar="WAY"),
        default="auto",
        section=_MACHINE,
        help="offload weights to RAM: per model part (model), per layer group (group), or per "
        "layer (sequential); auto does this if the model does not fit",
    )
    workers: WorkersOption | None = flag(
        "--workers",
        kind=WORKERS,
        section=_MACHINE,
        help="worker processes that render at once: auto (one for each GPU), a number,"
        " cuda:0,cuda:1 or cpu:2, or of Ray: ray, ray:N, ray:ADDRESS; --from_file then writes a"
        " plan that --resume continues",
    )
    same_hardware: bool = flag(
        "--same_hardware",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_MACHINE,
        help="with --workers ray, use only workers of one kind of processor and the same libraries,"
        " so that each renders the same bits",
    )
    preview: str = flag(
        "--preview",
        kind=choice("auto", "off", "final", "live", metavar="WHICH"),
        default="auto",
        section=_PICTURES,
        help="auto: live preview and final image; live or final: only that; off: none",
    )
    preview_protocol: str = flag(
        "--preview_protocol",
        kind=choice("auto", "kitty", "iterm2", "sixel", "symbols", metavar="HOW"),
        default="auto",
        section=_PICTURES,
        help="auto asks the terminal; symbols works in any terminal",
    )
    preview_size: int = flag(
        "--preview_size",
        kind=integer(4, 400),
        default=32,
        section=_PICTURES,
        help="width of an image in the terminal, in columns at most",
    )
    web: WebAddress | None = flag(
        "--web",
        kind=WEB_ADDRESS,
        section=_WEB,
        help="serve a web page and an HTTP API, beside the prompt or, without a terminal, alone;"
        " by default at 127.0.0.1:7860; another HOST needs a token",
    )
    mcp: bool = flag(
        "--mcp",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_WEB,
        help="serve a language model's client over stdin and stdout (MCP); needs dream-prompt[mcp]."
        " --web serves it too, at /mcp",
    )
    token: str | None = flag(
        "--token",
        kind=text("TOKEN", "a secret of at least 12 characters"),
        section=_WEB,
        help="secret that --web asks for; the environment variable DREAM_TOKEN does the same, and"
        " other users of this machine cannot see it",
    )
    allow_host: str | None = flag(
        "--allow_host",
        kind=replace(text("NAME", "a host name"), repeats=True),
        section=_WEB,
        help="name under which browsers may reach --web, besides localhost and addresses; several"
        " with commas, or repeated",
    )
    allow_origin: str | None = flag(
        "--allow_origin",
        kind=replace(text("URL", "an origin such as https://example.org"), repeats=True),
        section=_WEB,
        help="web site whose pages may use the API of --web (CORS); several with commas, or"
        " repeated; by default none",
    )


CLI_FLAGS = get_flags(CliOptions)
"""The rows of the table, by field name."""
