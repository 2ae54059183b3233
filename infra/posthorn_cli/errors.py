"""What a command tells its operator instead of a traceback."""


class CommandError(Exception):
    """A command that cannot be carried out; the text tells the operator why."""
