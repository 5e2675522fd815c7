"""The agents' channel."""
