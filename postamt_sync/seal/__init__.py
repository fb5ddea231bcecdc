"""Encryption at rest: what is sealed, for whom, and the function at AWS that does it."""
