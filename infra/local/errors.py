"""Errors of the local stack.

LocalStackError
├── AlreadyRunning   a stack runs in the same state directory
└── StartFailed      a step of the start failed; says which, and where its log is
"""


class LocalStackError(Exception):
    """The local stack is not running; the text is for the person who started it."""


class AlreadyRunning(LocalStackError):
    """A stack runs in the same state directory."""


class StartFailed(LocalStackError):
    """A step of the start failed."""
