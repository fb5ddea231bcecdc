"""The command line: one file per verb, thin; what it does lives in the package."""
