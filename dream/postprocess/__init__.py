"""A picture into a better picture. Importing this loads nothing heavy; `finish.upscale` does."""
