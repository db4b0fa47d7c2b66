"""Writes torch's own archives (.pt2): the folded network as a program of torch.export."""
