"""Control maps: what a ControlNet sees of an image."""
