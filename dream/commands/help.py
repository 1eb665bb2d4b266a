"""!help: list every switch and command, or explain one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dream.catalogue import ModelInfo
from dream.commands.command import Command, Context, Line, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events
from dream.core.request import FLAGS, Flag, Request
from dream.line.switch_names import find_near
from dream.options.control import CONTROL_EXAMPLES, CONTROL_KINDS

_KEYS = (
    ("q, Ctrl-D", "quit"),
    ("Ctrl-C", "clear the edit line; on an empty line, cancel the current image"),
)


def show_help(context: Context, argument: str) -> Events[None]:
    """!help [TOPIC]: list everything, or explain one switch, command or model."""
    if not argument:
        yield TextOutput(lines=tuple(_list_everything(context)))
        return
    switches, commands = _switches(), _commands(context.commands)
    # A leading dash selects the switch and a leading `!` the command of that name.
    tables = [switches] if argument[0] == "-" else [commands] if argument[0] == "!" else []
    key = _strip_prefix(argument)
    entries = [table[key] for table in tables or (commands, switches) if key in table]
    if not entries and not tables and argument in context.session.registry.find_paths():
        yield TextOutput(lines=tuple(_explain_model(context.session.registry.get_model(argument))))
        return
    if not entries:
        known = {**switches, **commands}
        near = find_near(key, known)
        hint = f"did you mean {_get_name(known[near])}?" if near else "!help lists everything"
        raise BadLine(f"there is no help on “{argument}”", 0, hint)
    yield TextOutput(lines=tuple(line for topic in entries for line in _explain(topic, context)))


def list_topics(commands: Sequence[Command]) -> Sequence[str]:
    """The names of all switches and commands, without dashes or `!`."""
    return tuple(_commands(commands) | _switches())


def _switches() -> dict[str, Flag | Command]:
    return {_strip_prefix(name): flag for flag in FLAGS.values() for name in flag.names}


def _commands(commands: Sequence[Command]) -> dict[str, Flag | Command]:
    return {_strip_prefix(command.name): command for command in commands}


def _explain(topic: Flag | Command, context: Context) -> Iterator[Line]:
    if isinstance(topic, Command):
        return _explain_command(topic)
    return _explain_switch(topic, context)


def _list_everything(context: Context) -> Iterator[Line]:
    yield "type a prompt, then switches:  a red circle on blue -n2 -s20 -U2"
    sections: dict[str, list[Flag]] = {}
    for flag in FLAGS.values():
        sections.setdefault(flag.section, []).append(flag)
    for section, flags in sections.items():
        yield ""
        yield f"{section}:"
        yield from ((f"  {_format_usage(flag)}", flag.help) for flag in flags)
    yield ""
    yield "commands:"
    yield from ((f"  {command.name} {command.usage}", command.help) for command in context.commands)
    yield from ((f"  {key}", does) for key, does in _KEYS)
    yield ""
    yield "!help -U explains one switch or command; Tab completes, → accepts the gray suggestion"
    yield "several values make one image each:  -C 5,7.5,10  -A k_euler,ddim  -s 10..50:10"


def format_command_table(commands: Sequence[Command]) -> str:
    """Return the commands as a Markdown table."""
    rows = ["| command | what it does |", "|---|---|"]
    for command in commands:
        typed = f"{command.name} {command.usage}".rstrip().replace("|", r"\|")
        rows.append(f"| `{typed}` | {command.help} |")
    return "\n".join(rows) + "\n"


def _explain_command(command: Command) -> Iterator[Line]:
    yield f"{command.name} {command.usage}".rstrip()
    yield f"  {command.help}"
    for option, kind in command.options.items():
        yield (f"  {option} {kind.metavar}".rstrip(), kind.expects)


def _explain_model(info: ModelInfo) -> Iterator[Line]:
    yield f"{info.name}: {info.description}" if info.description else info.name
    yield (
        "",
        f"{info.width}x{info.height}, {info.steps} steps by default",
    )
    if not info.knows:
        yield ("", "it has no list of the words it was trained on")
        return
    yield ""
    yield "it was trained on these words only; other words have no effect:"
    for group, words in info.knows:
        yield (f"  {group}", ", ".join(words))


def _explain_switch(flag: Flag, context: Context) -> Iterator[Line]:
    yield f"{', '.join(flag.names)} {flag.kind.metavar}".rstrip()
    yield ("", flag.help)
    yield ("", f"takes {flag.kind.expects}")
    if flag.allows_sweep:
        yield ("", f"a list of values makes one image each: {_format_example(flag)}")
    if flag is FLAGS["control"]:
        yield from _explain_controls()
    now = _format_default(flag, context.session.base)
    if now:
        yield ("", f"by default: {now}")


def _explain_controls() -> Iterator[Line]:
    yield ""
    yield "kinds of control images:"
    for kind in CONTROL_KINDS.values():
        made = f"; computed by {kind.made_by}" if kind.made_by else "; used as it is"
        yield (f"  {kind.name}", f"{kind.called}: {kind.help}{made}")
    yield ""
    yield "examples:"
    yield from CONTROL_EXAMPLES


def _format_default(flag: Flag, base: Request) -> str:
    (name,) = (name for name, row in FLAGS.items() if row is flag)
    value = getattr(base, name)
    if value in (None, False, ""):
        return (
            "what the model's settings say"
            if flag.always_logged and name not in ("seed", "model")
            else ""
        )
    return " ".join(flag.kind.write(value)) or "on"


def _format_example(flag: Flag) -> str:
    name = flag.names[0]
    if flag.kind.choices:
        return f"{name} {','.join(flag.kind.choices[:2])}"
    few, many = ("2.5,5", "2.5..10:2.5") if flag.kind.metavar == "X" else ("64,128", "64..256:64")
    return f"{name} {few} or {name} {many}"


def _format_usage(flag: Flag) -> str:
    """The usage of a switch: its short and its long name."""
    return f"{', '.join(dict.fromkeys((flag.names[0], f'--{flag.long_name}')))} {flag.kind.metavar}"


def _get_name(topic: Flag | Command) -> str:
    return topic.name if isinstance(topic, Command) else topic.names[0]


def _strip_prefix(name: str) -> str:
    return name.strip().lstrip("-!").replace("-", "_")
