"""The routes, one module per subject; ``app`` collects them. Bodies and queries are parsed here."""
