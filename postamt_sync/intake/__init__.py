"""How we hear of mail. Every way in ends with an arrival in the ledger, and nothing else."""
