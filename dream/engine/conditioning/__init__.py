"""Encodes a prompt's tree for the denoiser: tokens, weights and embeddings, for each step."""
