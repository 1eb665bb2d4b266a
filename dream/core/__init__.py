"""The types that all packages share: requests, recipes, images, events and errors."""
