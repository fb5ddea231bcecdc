"""The emergency webmail: reads and answers mail from AWS alone, while the box at home is down."""
