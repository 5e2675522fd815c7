"""Server-sent events: committed rows, each once and in order; slow readers; readers that resume."""
