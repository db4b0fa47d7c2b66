"""One function a command: its arguments, its help, and the call."""
