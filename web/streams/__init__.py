"""Streams: committed rows, sent to whoever follows them.

Reading order: ``topics`` (what can be followed), ``subscribers`` (who follows what, and what may wait for one), ``hub``
(how far each has come; no protocol), ``resume_turns`` (who catches up when), ``events`` (what a row says),
``forms`` (how events are written), ``sse`` (the HTTP response). Another kind of stream is another
``subscribers.Kind``; another protocol is another form, and reads ``Hub.follow`` as ``web/agents`` does.
"""
