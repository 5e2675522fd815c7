"""The contract as a whole, made of the subjects beside.

``operations`` is the table of all operations, ``weights`` says what each costs, ``examples`` has one of each, and
``openapi`` makes the document of all this that programs read.
"""
