"""What both bootstrap and the daemon need of AWS: clients, errors, prices, regions, zips."""
