"""`edgekit choose`: which of the stored files to ship to a device, within limits, with the intervals in view."""
