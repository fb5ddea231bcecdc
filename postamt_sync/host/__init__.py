"""The machine on which the daemon runs: systemd, Dovecot, and the settings of mail clients."""
