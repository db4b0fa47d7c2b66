"""`edgekit inspect`: what a file is, and the code that calls it."""
