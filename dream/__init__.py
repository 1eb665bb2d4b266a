"""dream: make pictures from words, at a prompt, on your own machine."""

__version__ = "0.1.0"
