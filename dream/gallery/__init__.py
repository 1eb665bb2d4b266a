"""Saves images: file names, PNGs, the log, and recovery after a crash."""

from dream.gallery.copies import INPUTS_FOLDER
from dream.gallery.durable_files import raise_gallery_errors
from dream.gallery.gallery import Gallery, SavedImage, Unlogged
from dream.gallery.log import (
    LOG_NAME,
    LogMark,
    parse_logged_name,
    read_last_lines,
    read_log,
    read_log_after,
)
from dream.gallery.naming import FileName, format_file_name, make_prompt_folder
from dream.gallery.numbering import ReservedNumber
from dream.gallery.png import DreamRecord, read_log_line, read_record
from dream.gallery.text_lines import text_lines

__all__ = [
    "INPUTS_FOLDER",
    "LOG_NAME",
    "DreamRecord",
    "FileName",
    "Gallery",
    "LogMark",
    "ReservedNumber",
    "SavedImage",
    "Unlogged",
    "format_file_name",
    "make_prompt_folder",
    "parse_logged_name",
    "raise_gallery_errors",
    "read_last_lines",
    "read_log",
    "read_log_after",
    "read_log_line",
    "read_record",
    "text_lines",
]
