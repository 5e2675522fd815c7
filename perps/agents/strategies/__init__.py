"""Eight examples, to run by name and to copy. None has any access but the client."""
