"""Streams: committed rows, sent to whoever follows them.

Reading order: ``hub`` (subscribers, how far each has come, what may wait for one; no protocol), ``resume_turns`` (who
catches up when), ``sse`` (the format and the HTTP response). Another kind of stream is another ``hub.Kind``; another
protocol reads ``Hub.follow``.
"""
