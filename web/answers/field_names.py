"""What a field of ours is called outside."""


def camel(name: str) -> str:
    """``entry_price`` as the API has it: ``entryPrice``."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
