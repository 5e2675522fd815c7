"""What one sender may have under way, so that nobody has all of the venue.

``connections`` bounds what comes in at the port; ``admission`` gives each caller a budget and a pace (``budgets``);
``origins`` keeps other sites' pages out; ``shares`` bounds bodies and look-ups. Commands in flight are bounded
by ``actors/bridge.py``, readers who catch up by ``web/streams/resume_turns.py``. The numbers are in docs/limits.md.
"""
