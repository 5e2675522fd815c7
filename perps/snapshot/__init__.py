"""The whole state, saved and checked.

Reading order: ``images`` (state as frozen values and canonical bytes), ``format`` (a snapshot's bytes), ``upcast`` (old
formats), ``checks`` (can an image be real?), ``verification`` (a walk over all rows that names what is wrong).
"""
