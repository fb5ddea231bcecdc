"""The DNS records that a stack needs: what they are, which exist, and how to create the rest."""
