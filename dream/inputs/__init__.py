"""Pictures that pictures are made from: opened safely, whoever made the file, and told apart."""

from dream.inputs.opened import Opened, fingerprint, measure, open_picture

__all__ = ["Opened", "fingerprint", "measure", "open_picture"]
