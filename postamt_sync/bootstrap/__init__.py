"""The AWS side: what is to be there, what is, and the calls that lead from one to the other."""
