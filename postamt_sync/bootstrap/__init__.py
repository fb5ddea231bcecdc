"""The AWS side: what there is to be, what there is, and the calls that lead from one to the other."""
