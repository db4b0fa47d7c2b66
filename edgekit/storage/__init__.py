"""The store of measurements and accuracies: its schema, appending, reading and merging."""
