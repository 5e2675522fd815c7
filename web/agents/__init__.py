"""The agents' channel: many requests and events of one agent on one WebSocket.

Reading order: ``frames`` (what frames are, in both subprotocols), ``line`` (bytes to an agent, and when one reads too
slowly), ``session`` (one agent: what it may have in flight, in which order it is carried out, what it follows),
``socket`` (the WebSocket itself). What an envelope asks for is carried out by the same handlers as requests of HTTP:
``web/api/agents.py``.
"""
