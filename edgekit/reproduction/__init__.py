"""`edgekit reproduce`: published trade-offs measured again and laid beside the published tables."""
