"""Pictures at rest: their names, their PNGs, their log, and what happens after a crash."""

from dream.gallery.claims import Claim
from dream.gallery.copies import INPUTS_FOLDER
from dream.gallery.disk import explained
from dream.gallery.gallery import Entry, Gallery, Unlogged
from dream.gallery.log import LOG_NAME, last_lines, logged_name, read_log
from dream.gallery.naming import Name, file_name, prompt_folder
from dream.gallery.png import Record, log_line_of, read_record
from dream.gallery.text_lines import text_lines

__all__ = [
    "INPUTS_FOLDER",
    "LOG_NAME",
    "Claim",
    "Entry",
    "Gallery",
    "Name",
    "Record",
    "Unlogged",
    "explained",
    "file_name",
    "last_lines",
    "log_line_of",
    "logged_name",
    "prompt_folder",
    "read_log",
    "read_record",
    "text_lines",
]
