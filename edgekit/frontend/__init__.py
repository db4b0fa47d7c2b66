"""torch module -> Graph: running forward() once and writing down what it calls.

`tracer.trace` is the way in, `verify.prove` the proof; docs/architecture.md says why a network is run for this, and not
exported by torch.
"""
