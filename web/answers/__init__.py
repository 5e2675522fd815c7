"""Committed state → the JSON of the contract, one file a subject, and how numbers, times and errors are written.

Every number with a unit leaves as decimal text.
"""

from typing import Any

Json = dict[str, Any]
"""A JSON object."""
