"""`edgekit export`: from a network and options to proved files with their manifests."""
