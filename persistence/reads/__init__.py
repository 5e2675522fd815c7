"""What the API reads from the database: ``queries`` (past trades, prices, candles) and ``keys`` (API keys).

Asynchronous, on the web's event loop; nothing here writes the journal.
"""
