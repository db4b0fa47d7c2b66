"""Damaged input, names that mean harm, and kills at any moment, of what devices do, too: `make attack`."""
