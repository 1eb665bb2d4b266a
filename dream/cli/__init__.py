"""The shell command: options, the front doors without a prompt, and how a session is created."""
