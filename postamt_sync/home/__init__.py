"""What stands beside the daemon at home: Dovecot, mail clients, systemd, doctor."""
