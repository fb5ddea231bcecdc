"""The envelope index: a DynamoDB table that a Lambda function fills and the daemon asks."""
