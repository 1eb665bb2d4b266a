"""From a prompt's tree to what a denoiser is told: tokens, weights, embeddings, and their steps."""
