"""Models on disk, loaded: folders and single files, weights, tokenizers and VAEs."""
