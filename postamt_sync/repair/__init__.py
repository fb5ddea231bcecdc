"""What a person asks for when something is lost: compare, rebuild, restore. Not the daemon's."""
