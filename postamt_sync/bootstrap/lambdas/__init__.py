"""What runs in AWS Lambda: handlers, with the package `mail` beside them, and how to pack them."""
