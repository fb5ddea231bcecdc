"""The machine that the daemon runs on: systemd, Dovecot, and what mail clients ask for."""
