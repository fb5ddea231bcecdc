"""The emergency webmail: reading and answering mail with AWS alone, while the box is down."""
