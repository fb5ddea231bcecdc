"""Serving HTTP to strangers: who they are, and how much each may hold on to."""
