"""What one caller may take of the venue: connections, time, places in a queue, look-ups in the database."""
