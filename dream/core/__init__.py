"""What every package speaks of: requests, recipes, images, events and errors."""
