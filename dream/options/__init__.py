"""The types of option values, and the tables they choose from."""
