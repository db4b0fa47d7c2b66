"""torch module -> Graph: running forward() once and writing down what it calls.

`tracer.trace` is the way in, and `verify.verify` checks that the graph answers like the module; docs/architecture.md
says why a network is run for this, and not exported by torch.
"""
