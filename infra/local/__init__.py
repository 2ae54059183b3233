"""The local stack: the real `sam build` output, deployed by the real `sam deploy`, run by MiniStack on loopback."""
