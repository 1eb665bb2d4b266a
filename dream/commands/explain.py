"""!help: every switch and command on a page, or one of them in full."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from dream.commands.base import Command, Context, Line, Page
from dream.errors import BadLine
from dream.events import Events
from dream.request import FLAGS, Flag, Request

_WAYS_OUT = ("q, Ctrl-D", "leave")


def explain(context: Context, argument: str) -> Events[None]:
    """!help [TOPIC]: what there is, or all about one switch or command."""
    if not argument:
        yield Page(lines=tuple(_everything(context)))
        return
    known = topics(context.commands)
    key = _bare(argument)
    if key not in known:
        near = difflib.get_close_matches(key, known, 1, 0.6)
        hint = f"did you mean {_name(known[near[0]])}?" if near else "!help lists all there is"
        raise BadLine(f"there is no help about “{argument}”", 0, hint)
    topic = known[key]
    yield Page(
        lines=tuple(
            _about_command(topic) if isinstance(topic, Command) else _about_switch(topic, context)
        )
    )


def topics(commands: Sequence[Command]) -> Mapping[str, Flag | Command]:
    """What can be asked about, by name without dashes or `!`."""
    switches = {_bare(name): flag for flag in FLAGS.values() for name in flag.names}
    return {_bare(command.name): command for command in commands} | switches


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
    yield (f"  {_WAYS_OUT[0]}", _WAYS_OUT[1])
    yield ""
    yield "!help -U explains one switch or command; TAB completes names, files and seeds"


def _about_command(command: Command) -> Iterator[Line]:
    yield f"{command.name} {command.usage}".rstrip()
    yield f"  {command.help}"


def _about_switch(flag: Flag, context: Context) -> Iterator[Line]:
    yield f"{', '.join(flag.names)} {flag.kind.metavar}".rstrip()
    yield ("", flag.help)
    yield ("", f"takes {flag.kind.means}")
    now = _default(flag, context.studio.base)
    if now:
        yield ("", f"when a line does not say: {now}")


def _default(flag: Flag, base: Request) -> str:
    (name,) = (name for name, row in FLAGS.items() if row is flag)
    value = getattr(base, name)
    if value in (None, False, ""):
        return "what the model's card says" if flag.always and name not in ("seed", "model") else ""
    return " ".join(flag.kind.write(value)) or "on"


def _usage(flag: Flag) -> str:
    """A switch as it is mostly typed: its short and its long name."""
    return f"{', '.join(dict.fromkeys((flag.names[0], f'--{flag.long}')))} {flag.kind.metavar}"


def _name(topic: Flag | Command) -> str:
    return topic.name if isinstance(topic, Command) else topic.names[0]


def _bare(name: str) -> str:
    return name.strip().lstrip("-!").replace("-", "_")
