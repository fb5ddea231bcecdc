"""The systemd service: its units, and the steps that install and remove it."""
