"""Which network is meant: the specs of the zoo, the catalogue over them, and a user's own module."""
