"""Ledger, Maildirs and bucket of different moments: opened, compared, rebuilt, restored."""
