"""A module a command, with the function of its name: its arguments, its help, and the call."""
