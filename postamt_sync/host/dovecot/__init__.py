"""Dovecot: its configuration, its logins, and the files that contain them."""
