"""Measurements and trials of sweeps on many devices, and on several machines."""
