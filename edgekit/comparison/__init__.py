"""`edgekit compare`: two sets of measurements against each other, and the gate made of that."""
