"""What changes a loaded model for one line: LoRAs and their kin, embeddings, hypernetworks."""
