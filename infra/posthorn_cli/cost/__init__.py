"""Posthorn's cost: counted AWS calls times a dated price table."""
