"""What the web side reads: ``queries`` (lists, candles, rows) and ``keys`` (API keys)."""
