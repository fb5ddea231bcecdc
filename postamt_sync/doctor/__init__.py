"""Looks at every link between the sender and the mail client, and says what to do."""
