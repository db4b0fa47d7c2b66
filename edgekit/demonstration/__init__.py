"""`edgekit demo`: the whole way on handwritten digits that a package brings."""
