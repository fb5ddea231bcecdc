"""Everything that a stack consists of, one resource a file, in the order in which it is made."""
