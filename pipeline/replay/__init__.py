"""Sending or reading again: rejected records after a fix, and ranges of the input topics."""
