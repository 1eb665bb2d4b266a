"""The included model: its training images, its training, its evaluation."""
