"""From nothing to mail: the answers that `setup` understands and keeps, and the bundle for the
box."""
