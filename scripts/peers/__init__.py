"""One network by edgekit and by what one would use without it: `make bench-peers`."""
