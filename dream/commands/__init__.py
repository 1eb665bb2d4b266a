"""The `!` commands: a table, and how a typed line finds its row.

A new command is a function in the file of its family and a row here.
"""

from dream.commands.command import (
    Command,
    Context,
    InsertText,
    Line,
    Questions,
    ShowImage,
    TextOutput,
)
from dream.commands.defaults import save_defaults, set_default, unset_default
from dream.commands.delete_model import DELETE_OPTIONS, ask_about_deletion, delete_model
from dream.commands.dispatch import (
    RECALL,
    find_command,
    get_questions,
    is_command,
    is_queued,
    run_line,
    without_prefix,
)
from dream.commands.edit_model import EDIT_OPTIONS, edit_model
from dream.commands.help import list_topics, show_help
from dream.commands.history import (
    ask_about_clearing,
    clear_history,
    edit_last_line,
    recall_line,
    search_history,
    show_history,
)
from dream.commands.import_model import IMPORT_OPTIONS, import_model, import_models_yaml
from dream.commands.import_questions import ask_about_import
from dream.commands.log_files import fetch_lines, fix_image, replay_file, verify_log_file
from dream.commands.mask import write_mask
from dream.commands.model_commands import list_models, optimize_model, set_vae, switch_model
from dream.commands.queue_commands import (
    cancel_line,
    list_queue,
    move_to_front,
    pause_queue,
    restart,
    resume_queue,
)
from dream.commands.show_image import open_picture, show_info, show_picture

COMMANDS = (
    Command(
        "!help",
        "[TOPIC]",
        "what there is; or all about a switch, command or model",
        show_help,
        "topic",
    ),
    Command(
        "!fix",
        "FILE|FOLDER|PATTERN|-1 [-c…] [-D…] [-embiggen…] [-U…] [--watermark…]",
        "a picture, or each of many that is not done yet, taken further, in this order;"
        " what was done is in its PNG and in the log",
        fix_image,
        "picture",
        queued=True,
    ),
    Command(
        "!replay",
        "FILE",
        "make every line of a log or of a list of prompts",
        replay_file,
        "file",
        queued=True,
    ),
    Command(
        "!verify",
        "LOG",
        "render a log again and compare with its record",
        verify_log_file,
        "file",
        changes=True,
        queued=True,
    ),
    Command("!queue", "", "the line being made, and those that wait", list_queue),
    Command(
        "!cancel",
        "[N|all]",
        "give up the line being made, line N of the queue, or all",
        cancel_line,
    ),
    Command("!next", "N", "line N of the queue comes next", move_to_front),
    Command("!pause", "", "begin no further line; the one being made goes on", pause_queue),
    Command("!resume", "", "go on with the waiting lines", resume_queue),
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
        fetch_lines,
        "picture",
    ),
    Command("!show", "FILE|-1", "a picture, in the terminal", show_picture, "picture"),
    Command("!open", "FILE|-1", "a picture, in the desktop's viewer", open_picture, "picture"),
    Command(
        "!info", "FILE|-1", "all that a picture tells of how it was made", show_info, "picture"
    ),
    Command(
        "!mask",
        "FILE|-1 -tm WORDS [THRESHOLD]",
        "where in a picture is what words name: a mask for -M beside it, and how sure that is",
        write_mask,
        "picture",
        changes=True,
        queued=True,
    ),
    Command("!last", "", "put the last line into the edit line, with its seed", edit_last_line),
    Command(
        "!models", "", "the models there are, which paints, and which are in memory", list_models
    ),
    Command(
        "!switch",
        "NAME",
        "load a model, and paint with it from now on",
        switch_model,
        "model",
        changes=True,
        queued=True,
    ),
    Command(
        "!vae",
        "[NAME|none]",
        "the VAE of all lines that follow, or which there are",
        set_vae,
        "vae",
        queued=True,
    ),
    Command(
        "!import_model",
        "WHAT [--name N] [--description “…”] [--ema] [--all]",
        "a model from a file, a folder, a URL or owner/name on the hub, into models.toml",
        import_model,
        "file",
        options=IMPORT_OPTIONS,
        questions=ask_about_import,
        changes=True,
        queued=True,
    ),
    Command(
        "!optimize_model",
        "NAME",
        "a single file once more, as a folder in diffusers layout",
        optimize_model,
        "model",
        changes=True,
        queued=True,
    ),
    Command(
        "!import_models_yaml",
        "FILE",
        "the models of InvokeAI's models.yaml, into models.toml",
        import_models_yaml,
        "file",
        changes=True,
        queued=True,
    ),
    Command(
        "!edit_model",
        "NAME [--FIELD VALUE …] [--name NEW]",
        "say something of a model in models.toml: its steps, its description, another name",
        edit_model,
        "model",
        options=EDIT_OPTIONS,
        changes=True,
        queued=True,
    ),
    Command(
        "!del_model",
        "NAME [--files [--yes]]",
        "take a model out of models.toml; --files deletes it from its models folder, after asking",
        delete_model,
        "model",
        options=DELETE_OPTIONS,
        questions=ask_about_deletion,
        changes=True,
        queued=True,
    ),
    Command("!history", "[N]", "the last N lines that were entered, numbered", show_history),
    Command(
        "!search", "WORDS", "the lines entered before that hold all these words", search_history
    ),
    Command(RECALL, "", "put line NN of the history into the edit line", recall_line),
    Command(
        "!clear",
        "",
        "forget the history, after asking",
        clear_history,
        questions=ask_about_clearing,
        changes=True,
    ),
    Command(
        "!set",
        "[NAME VALUE]",
        "a default for all lines that follow, or what was set",
        set_default,
        "setting",
        queued=True,
    ),
    Command(
        "!unset",
        "NAME",
        "the default as it was at the start",
        unset_default,
        "setting",
        queued=True,
    ),
    Command(
        "!save_settings", "", "write these defaults into dream.toml", save_defaults, changes=True
    ),
)
"""Every command, in the order of !help."""

__all__ = [
    "COMMANDS",
    "RECALL",
    "Command",
    "Context",
    "InsertText",
    "Line",
    "Questions",
    "ShowImage",
    "TextOutput",
    "find_command",
    "get_questions",
    "is_command",
    "is_queued",
    "list_topics",
    "run_line",
    "without_prefix",
]
