"""Foreign bytes for dream's readers: `scripts.fuzz` has the table of them."""
