"""What a person reads of each command's result."""
