"""Sections of `make bench-self` about int8: what it loses, in which part, on which processor, and what was tried."""
