"""Damaged input, names that mean harm, and kills at any moment: `make attack`."""
