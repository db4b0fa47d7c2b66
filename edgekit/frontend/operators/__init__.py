"""What each of torch's operators is in the graph: one function a spelling, one file a family.

A converter takes the builder, the layer's name and the call's own arguments, and emits operators. What is made of
others is taken apart here, once for all formats. The table of names is edgekit.frontend.table.
"""
