"""The shell command: its options, runs without a prompt, and creating a session."""
