"""The `!` commands: a table, and how a typed line finds its row.

A new command is a function in the file of its family and a row here.
"""

from dream.commands.act import RECALL, act, find, is_command
from dream.commands.base import Command, Context, Edit, Line, Page
from dream.commands.explain import explain, topics
from dream.commands.files import fetch, replay, verify
from dream.commands.past import history, recall, search

COMMANDS = (
    Command(
        "!help", "[TOPIC]", "what there is; or all about a switch or command", explain, "topic"
    ),
    Command("!replay", "FILE", "make every line of a log or of a list of prompts", replay, "file"),
    Command("!verify", "LOG", "render a log again and compare with its record", verify, "file"),
    Command(
        "!fetch", "FILE", "put the line that made a picture into the edit line", fetch, "picture"
    ),
    Command("!history", "[N]", "the last N lines that were entered, numbered", history),
    Command("!search", "WORDS", "the lines entered before that hold all these words", search),
    Command(RECALL, "", "put line NN of the history into the edit line", recall),
)
"""Every command, in the order of !help."""

__all__ = [
    "COMMANDS",
    "RECALL",
    "Command",
    "Context",
    "Edit",
    "Line",
    "Page",
    "act",
    "find",
    "is_command",
    "topics",
]
