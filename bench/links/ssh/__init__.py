"""The ssh link: one connection, one session on the device, and what ends both."""
