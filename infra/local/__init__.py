"""The local stack: the output of `sam build`, deployed by `sam deploy`, run by MiniStack on loopback."""
