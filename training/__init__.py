"""The embedded model: the pictures it is taught with, its training, its measuring."""
