"""What the actors run on in a simulation: a scheduler for threads, processes that die, a store that fails."""
