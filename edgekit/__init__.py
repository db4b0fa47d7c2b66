"""edgekit: export convolutional networks and measure what they cost on real devices."""
