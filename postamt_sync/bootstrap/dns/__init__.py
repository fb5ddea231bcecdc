"""The records that a stack needs in the DNS: what they are, what is there, how they get there."""
