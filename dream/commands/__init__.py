"""The `!` commands: a table, and how a typed line finds its row.

A new command is a function in the file of its family and a row here.
"""

from dream.commands.act import RECALL, act, asked, find, is_command, takes_turn, without_prefix
from dream.commands.arrivals import IMPORT_OPTIONS, import_model, import_models_yaml
from dream.commands.asking import ask_about_import
from dream.commands.base import Asking, Command, Context, Edit, Line, Look, Page
from dream.commands.editing import EDIT_OPTIONS, edit_model
from dream.commands.explain import explain, topics
from dream.commands.files import fetch, fix, replay, verify
from dream.commands.masks import mask
from dream.commands.models import (
    DELETE_OPTIONS,
    ask_about_deletion,
    del_model,
    models,
    optimize_model,
    switch,
    vae,
)
from dream.commands.past import ask_about_clearing, clear, history, last, recall, search
from dream.commands.queue import cancel, list_queue, move_up, pause, restart, resume
from dream.commands.settings import save, set_, unset
from dream.commands.show import open_picture, show_picture, tell

COMMANDS = (
    Command(
        "!help",
        "[TOPIC]",
        "what there is; or all about a switch, command or model",
        explain,
        "topic",
    ),
    Command(
        "!fix",
        "FILE|FOLDER|PATTERN|-1 [-c…] [-D…] [-embiggen…] [-U…] [--watermark…]",
        "a picture, or each of many that is not done yet, taken further, in this order;"
        " what was done is in its PNG and in the log",
        fix,
        "picture",
        waits=True,
    ),
    Command(
        "!replay",
        "FILE",
        "make every line of a log or of a list of prompts",
        replay,
        "file",
        waits=True,
    ),
    Command(
        "!verify",
        "LOG",
        "render a log again and compare with its record",
        verify,
        "file",
        changes=True,
        waits=True,
    ),
    Command("!queue", "", "the line being made, and those that wait", list_queue),
    Command(
        "!cancel", "[N|all]", "give up the line being made, line N of the queue, or all", cancel
    ),
    Command("!next", "N", "line N of the queue comes next", move_up),
    Command("!pause", "", "begin no further line; the one being made goes on", pause),
    Command("!resume", "", "go on with the waiting lines", resume),
    Command(
        "!restart",
        "",
        "end the worker process and its models; the next picture has another",
        restart,
    ),
    Command(
        "!fetch",
        "FILE|-1|PATTERN OUT",
        "the line that made a picture, into the edit line; or those of many, into a file",
        fetch,
        "picture",
    ),
    Command("!show", "FILE|-1", "a picture, in the terminal", show_picture, "picture"),
    Command("!open", "FILE|-1", "a picture, in the desktop's viewer", open_picture, "picture"),
    Command("!info", "FILE|-1", "all that a picture tells of how it was made", tell, "picture"),
    Command(
        "!mask",
        "FILE|-1 -tm WORDS [THRESHOLD]",
        "where in a picture is what words name: a mask for -M beside it, and how sure that is",
        mask,
        "picture",
        changes=True,
        waits=True,
    ),
    Command("!last", "", "put the last line into the edit line, with its seed", last),
    Command("!models", "", "the models there are, which paints, and which are in memory", models),
    Command(
        "!switch",
        "NAME",
        "load a model, and paint with it from now on",
        switch,
        "model",
        changes=True,
        waits=True,
    ),
    Command(
        "!vae",
        "[NAME|none]",
        "the VAE of all lines that follow, or which there are",
        vae,
        "vae",
        waits=True,
    ),
    Command(
        "!import_model",
        "WHAT [--name N] [--description “…”] [--ema] [--all]",
        "a model from a file, a folder, a URL or owner/name on the hub, into models.toml",
        import_model,
        "file",
        options=IMPORT_OPTIONS,
        asks=ask_about_import,
        changes=True,
        waits=True,
    ),
    Command(
        "!optimize_model",
        "NAME",
        "a single file once more, as a folder in diffusers layout",
        optimize_model,
        "model",
        changes=True,
        waits=True,
    ),
    Command(
        "!import_models_yaml",
        "FILE",
        "the models of InvokeAI's models.yaml, into models.toml",
        import_models_yaml,
        "file",
        changes=True,
        waits=True,
    ),
    Command(
        "!edit_model",
        "NAME [--FIELD VALUE …] [--name NEW]",
        "say something of a model in models.toml: its steps, its description, another name",
        edit_model,
        "model",
        options=EDIT_OPTIONS,
        changes=True,
        waits=True,
    ),
    Command(
        "!del_model",
        "NAME [--files [--yes]]",
        "take a model out of models.toml; --files deletes it from its models folder, after asking",
        del_model,
        "model",
        options=DELETE_OPTIONS,
        asks=ask_about_deletion,
        changes=True,
        waits=True,
    ),
    Command("!history", "[N]", "the last N lines that were entered, numbered", history),
    Command("!search", "WORDS", "the lines entered before that hold all these words", search),
    Command(RECALL, "", "put line NN of the history into the edit line", recall),
    Command(
        "!clear",
        "",
        "forget the history, after asking",
        clear,
        asks=ask_about_clearing,
        changes=True,
    ),
    Command(
        "!set",
        "[NAME VALUE]",
        "a default for all lines that follow, or what was set",
        set_,
        "setting",
        waits=True,
    ),
    Command("!unset", "NAME", "the default as it was at the start", unset, "setting", waits=True),
    Command("!save_settings", "", "write these defaults into dream.toml", save, changes=True),
)
"""Every command, in the order of !help."""

__all__ = [
    "COMMANDS",
    "RECALL",
    "Asking",
    "Command",
    "Context",
    "Edit",
    "Line",
    "Look",
    "Page",
    "act",
    "asked",
    "find",
    "is_command",
    "takes_turn",
    "topics",
    "without_prefix",
]
