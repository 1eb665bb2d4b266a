"""The number formats of quantized weights: bytes in a file → numbers, a file for each kind."""
