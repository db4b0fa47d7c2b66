"""From a torch module to a graph in edgekit's own operators, and the proof that both compute the same."""
