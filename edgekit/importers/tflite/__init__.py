"""A TFLite file as a network: file.py reads bytes, model.py the graph, network.py runs it, table.py has operators."""
