"""What each of ONNX's operators is in torch: one function an operator, one file a family.

A function takes the node and its inputs (None for one that is left out), and calls torch. Which functions of torch are
called decides what stands in the graph: those that edgekit.frontend.table has a form for.
"""
