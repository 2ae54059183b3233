"""Sending mail, and the sets of configuration that mail is sent with."""
