"""What a machine tells of itself: clocks, temperatures, power. Only read, never judged."""
