"""What a file of weights is, from its header: no weight is read, and no code in it is run."""

from dream.catalogue.recognise.headers import Header, Tensor, read_header
from dream.catalogue.recognise.kinds import Recognised, judge, place_of, recognise, wanted_model

__all__ = [
    "Header",
    "Recognised",
    "Tensor",
    "judge",
    "place_of",
    "read_header",
    "recognise",
    "wanted_model",
]
