"""What a command tells its operator instead of a traceback."""


class CommandError(Exception):
    """A command that cannot be carried out; the text is a sentence for the operator."""
