"""The text that image files of four formats carry, read without decoding their pixels."""

from dream.gallery.containers.image_text import ImageText, read_image_text

__all__ = ["ImageText", "read_image_text"]
