"""The two ends of a case other than its own, and the check that leads to one of them."""


class Failed(Exception):
    """The counterpart broke the contract; the text says what was asked and what came."""


class Skipped(Exception):
    """The case cannot be played here: the text names what the counterpart leaves out, or what nobody said."""


def must(condition: object, text: str) -> None:
    """Raise Failed with the text unless the condition holds."""
    if not condition:
        raise Failed(text)


def needs(condition: object, text: str) -> None:
    """Raise Skipped with the text unless the condition holds."""
    if not condition:
        raise Skipped(text)
