"""The web page in a browser, before a venue in a process of its own."""
