"""The table of `!` commands.

A new command is a function in the file of its family and a row here; those of the queue have their
rows in their own file.
"""

from dream.commands.adapter_commands import list_embeddings, list_hypernetworks, list_loras
from dream.commands.command import (
    Command,
    Context,
    InsertText,
    Line,
    Questions,
    ShowImage,
    TextOutput,
)
from dream.commands.control_map import write_control_map
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
from dream.commands.explain import explain_line
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
from dream.commands.queue_commands import QUEUE_COMMANDS
from dream.commands.search_images import FIND_OPTIONS, find_images, show_statistics
from dream.commands.show_image import open_picture, show_info, show_picture
from dream.commands.wildcard_commands import list_wildcards

COMMANDS = (
    Command(
        "!help",
        "[TOPIC]",
        "list everything, or explain one switch, command or model",
        show_help,
        "topic",
    ),
    Command(
        "!explain",
        "LINE",
        "show how the prompt of a line is parsed: its words, weights, choices and tokens",
        explain_line,
        queued=True,
    ),
    Command(
        "!fix",
        "FILE|FOLDER|PATTERN|-1 [-c…] [-D…] [-embiggen…] [-U…] [--watermark…]",
        "process an image, or every image of a folder or pattern that is not done yet, in"
        " this order; the steps are recorded in the PNG and the log",
        fix_image,
        "picture",
        queued=True,
    ),
    Command(
        "!replay",
        "FILE",
        "run every line of a log or of a list of prompts",
        replay_file,
        "file",
        queued=True,
    ),
    Command(
        "!verify",
        "LOG|IMAGE",
        "render a log, or one image, again and compare with what it recorded",
        verify_log_file,
        "file",
        changes=True,
        queued=True,
    ),
    *QUEUE_COMMANDS,
    Command(
        "!fetch",
        "FILE|-1|PATTERN OUT",
        "put the line that made an image into the edit line; or write the lines of many"
        " images to a file",
        fetch_lines,
        "png",
    ),
    Command("!show", "FILE|-1", "show an image in the terminal", show_picture, "picture"),
    Command("!open", "FILE|-1", "open an image in the desktop's viewer", open_picture, "picture"),
    Command(
        "!info",
        "FILE|-1|MODEL",
        "show everything an image records about how it was made; or what a model is, and where its"
        " defaults come from",
        show_info,
        "picture",
    ),
    Command(
        "!mask",
        "FILE|-1 -tm WORDS [THRESHOLD]",
        "find what the words describe in an image: writes a mask for -M and a confidence map",
        write_mask,
        "picture",
        changes=True,
        queued=True,
    ),
    Command(
        "!control",
        "KIND FILE|-1",
        "write the map that --control makes of an image, such as its edges; use or edit it with"
        " --control_raw",
        write_control_map,
        "control",
        changes=True,
        queued=True,
    ),
    Command("!last", "", "edit the last line again, with its seed", edit_last_line),
    Command(
        "!models",
        "[--known]",
        "list models; shows which is active and which are loaded; --known lists models to download",
        list_models,
    ),
    Command(
        "!switch",
        "NAME",
        "load a model and use it from now on",
        switch_model,
        "model",
        changes=True,
        queued=True,
    ),
    Command(
        "!vae",
        "[NAME|none]",
        "set the VAE for all following lines, or list the VAEs",
        set_vae,
        "vae",
        queued=True,
    ),
    Command(
        "!loras",
        "[TEXT]",
        "list LoRAs, with family, rank and trigger words; those for the active model first",
        list_loras,
    ),
    Command(
        "!embeddings",
        "[TEXT]",
        "list embeddings (textual inversion); a prompt uses one by its name",
        list_embeddings,
    ),
    Command("!hypernets", "[TEXT]", "list hypernetworks, <hypernet:NAME:1>", list_hypernetworks),
    Command(
        "!wildcards",
        "[TEXT]",
        "list the wildcards that __name__ in a prompt chooses from, with their values",
        list_wildcards,
    ),
    Command(
        "!import_model",
        "WHAT [--name N] [--description “…”] [--ema] [--all]",
        "add a model to models.toml: a file, a folder, a URL, or owner/name on Hugging Face",
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
        "convert a single-file model to a folder in diffusers layout",
        optimize_model,
        "model",
        changes=True,
        queued=True,
    ),
    Command(
        "!import_models_yaml",
        "FILE",
        "add the models of InvokeAI's models.yaml to models.toml",
        import_models_yaml,
        "file",
        changes=True,
        queued=True,
    ),
    Command(
        "!edit_model",
        "NAME [--FIELD VALUE …] [--name NEW]",
        "change a model's settings in models.toml: its steps, its description, its name",
        edit_model,
        "model",
        options=EDIT_OPTIONS,
        changes=True,
        queued=True,
    ),
    Command(
        "!del_model",
        "NAME [--files [--yes]]",
        "remove a model from models.toml; --files also deletes it from its models folder,"
        " after asking",
        delete_model,
        "model",
        options=DELETE_OPTIONS,
        questions=ask_about_deletion,
        changes=True,
        queued=True,
    ),
    Command("!history", "[N]", "list the last N lines entered, numbered", show_history),
    Command("!search", "WORDS", "list earlier lines that contain all these words", search_history),
    Command(
        "!find",
        "WORDS [--model NAME] [--after DATE] [--before DATE]",
        "list images in the image folder whose line or file name contains all these words",
        find_images,
        options=FIND_OPTIONS,
    ),
    Command(
        "!stats",
        "[FOLDER]",
        "count the images in a folder and its log, by model",
        show_statistics,
        "file",
    ),
    Command(RECALL, "", "put line NN of the history into the edit line", recall_line),
    Command(
        "!clear",
        "",
        "clear the history, after asking",
        clear_history,
        questions=ask_about_clearing,
        changes=True,
    ),
    Command(
        "!set",
        "[NAME VALUE]",
        "set a default for all following lines, or list what was set",
        set_default,
        "setting",
        queued=True,
    ),
    Command(
        "!unset",
        "NAME",
        "restore a default to its value at the start",
        unset_default,
        "setting",
        queued=True,
    ),
    Command(
        "!save_settings", "", "write these defaults to dream.toml", save_defaults, changes=True
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
