"""What the daemon shows on loopback: metrics for Prometheus, and a status page for people."""
