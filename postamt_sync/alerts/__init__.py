"""What a person is told: a short mail of our own, at most one a day for each cause."""
