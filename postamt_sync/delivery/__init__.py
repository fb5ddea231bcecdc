"""From an arrival in the ledger to a file in a Maildir: fetch, route, write, and never twice."""
