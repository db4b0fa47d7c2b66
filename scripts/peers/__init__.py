"""Networks by edgekit and by what one would use without it: `make bench-peers`, and the page of converting."""
