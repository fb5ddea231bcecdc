"""The daemon and one pass of it: every part made, wired and supervised."""
