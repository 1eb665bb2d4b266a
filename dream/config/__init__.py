"""Reads and writes settings in files."""
