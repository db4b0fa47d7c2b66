"""The devices of devices.yaml: their entries, how each is reached, checked and asked."""
