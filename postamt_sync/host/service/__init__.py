"""The systemd service: its unit files, and the steps that install and remove it."""
