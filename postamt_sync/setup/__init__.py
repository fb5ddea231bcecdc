"""From nothing to mail: what `setup` understands, keeps and hands to the box."""
