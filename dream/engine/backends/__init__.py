"""Engines besides torch for the same networks: OpenVINO and torch.compile, see `--engine`."""
