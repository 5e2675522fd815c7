"""What the API refuses: to whom, in which state, in which order, and that nothing changes."""
