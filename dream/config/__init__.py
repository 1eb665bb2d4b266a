"""Settings that are kept in files."""
