"""The networks: one architecture family per file. Importing this package registers them all."""
