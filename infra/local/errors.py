"""What can go wrong with the local stack.

LocalStackError
├── AlreadyRunning   a stack runs in the same state directory
└── StartFailed      a step on the way up failed; says which, and where its log is
"""


class LocalStackError(Exception):
    """The local stack is not there; the text is meant for the one who started it."""


class AlreadyRunning(LocalStackError):
    """A stack runs in the same state directory."""


class StartFailed(LocalStackError):
    """A step on the way up failed."""
