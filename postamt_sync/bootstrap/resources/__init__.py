"""Everything that a stack consists of, one kind of resource a file."""
