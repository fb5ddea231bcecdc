"""What a mail is. Pure: no I/O, only the standard library is imported; the Lambda ships it too."""
