"""Models that look at images: masks from words, and depth."""
