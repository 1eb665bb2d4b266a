"""!help: every switch and command on a page, or one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dream.catalogue import ModelInfo
from dream.commands.command import Command, Context, Line, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events
from dream.core.request import FLAGS, Flag, Request
from dream.line.switch_names import find_near

_KEYS = (
    ("q, Ctrl-D", "leave"),
    ("Ctrl-C", "clear what is being typed; on an empty line, give up the picture being made"),
)


def show_help(context: Context, argument: str) -> Events[None]:
    """!help [TOPIC]: what there is, or all about one switch, command or model."""
    if not argument:
        yield TextOutput(lines=tuple(_everything(context)))
        return
    switches, commands = _switches(), _commands(context.commands)
    # With its dash or its `!` a name says which it means, where there are both.
    tables = [switches] if argument[0] == "-" else [commands] if argument[0] == "!" else []
    key = _bare(argument)
    found = [table[key] for table in tables or (commands, switches) if key in table]
    if not found and not tables and argument in context.studio.shelf.find_paths():
        yield TextOutput(lines=tuple(_about_model(context.studio.shelf.get_model(argument))))
        return
    if not found:
        known = {**switches, **commands}
        meant = find_near(key, known)
        hint = f"did you mean {_name(known[meant])}?" if meant else "!help lists all there is"
        raise BadLine(f"there is no help about “{argument}”", 0, hint)
    yield TextOutput(lines=tuple(line for topic in found for line in _about(topic, context)))


def list_topics(commands: Sequence[Command]) -> Sequence[str]:
    """What can be asked about, by name without dashes or `!`."""
    return tuple(_commands(commands) | _switches())


def _switches() -> dict[str, Flag | Command]:
    return {_bare(name): flag for flag in FLAGS.values() for name in flag.names}


def _commands(commands: Sequence[Command]) -> dict[str, Flag | Command]:
    return {_bare(command.name): command for command in commands}


def _about(topic: Flag | Command, context: Context) -> Iterator[Line]:
    if isinstance(topic, Command):
        return _about_command(topic)
    return _about_switch(topic, context)


def _everything(context: Context) -> Iterator[Line]:
    yield "type what you want to see, then switches:  a red circle on blue -n2 -s20 -U2"
    sections: dict[str, list[Flag]] = {}
    for flag in FLAGS.values():
        sections.setdefault(flag.section, []).append(flag)
    for section, flags in sections.items():
        yield ""
        yield f"{section}:"
        yield from ((f"  {_usage(flag)}", flag.help) for flag in flags)
    yield ""
    yield "commands:"
    yield from ((f"  {command.name} {command.usage}", command.help) for command in context.commands)
    yield from ((f"  {key}", does) for key, does in _KEYS)
    yield ""
    yield "!help -U explains one switch or command; TAB completes, → takes what is shown in gray"
    yield "several values make a picture of each:  -C 5,7.5,10  -A k_euler,ddim  -s 10..50:10"


def format_command_table(commands: Sequence[Command]) -> str:
    """The commands as Markdown, for the README."""
    rows = ["| command | what it does |", "|---|---|"]
    for command in commands:
        typed = f"{command.name} {command.usage}".rstrip().replace("|", r"\|")
        rows.append(f"| `{typed}` | {command.help} |")
    return "\n".join(rows) + "\n"


def _about_command(command: Command) -> Iterator[Line]:
    yield f"{command.name} {command.usage}".rstrip()
    yield f"  {command.help}"
    for option, kind in command.options.items():
        yield (f"  {option} {kind.metavar}".rstrip(), kind.expects)


def _about_model(card: ModelInfo) -> Iterator[Line]:
    yield f"{card.name}: {card.description}" if card.description else card.name
    yield (
        "",
        f"paints {card.width}x{card.height}, {card.steps} steps, unless a line says otherwise",
    )
    if not card.knows:
        yield ("", "it does not list the words it knows")
        return
    yield ""
    yield "it was trained on these words alone; others mean nothing to it:"
    for group, words in card.knows:
        yield (f"  {group}", ", ".join(words))


def _about_switch(flag: Flag, context: Context) -> Iterator[Line]:
    yield f"{', '.join(flag.names)} {flag.kind.metavar}".rstrip()
    yield ("", flag.help)
    yield ("", f"takes {flag.kind.expects}")
    if flag.allows_sweep:
        yield ("", f"a list makes a picture of each: {_example(flag)}")
    now = _default(flag, context.studio.base)
    if now:
        yield ("", f"when a line does not say: {now}")


def _default(flag: Flag, base: Request) -> str:
    (name,) = (name for name, row in FLAGS.items() if row is flag)
    value = getattr(base, name)
    if value in (None, False, ""):
        return (
            "what the model's card says"
            if flag.always_logged and name not in ("seed", "model")
            else ""
        )
    return " ".join(flag.kind.write(value)) or "on"


def _example(flag: Flag) -> str:
    name = flag.names[0]
    if flag.kind.choices:
        return f"{name} {','.join(flag.kind.choices[:2])}"
    few, many = ("2.5,5", "2.5..10:2.5") if flag.kind.metavar == "X" else ("64,128", "64..256:64")
    return f"{name} {few} or {name} {many}"


def _usage(flag: Flag) -> str:
    """A switch as it is mostly typed: its short and its long name."""
    return f"{', '.join(dict.fromkeys((flag.names[0], f'--{flag.long_name}')))} {flag.kind.metavar}"


def _name(topic: Flag | Command) -> str:
    return topic.name if isinstance(topic, Command) else topic.names[0]


def _bare(name: str) -> str:
    return name.strip().lstrip("-!").replace("-", "_")
