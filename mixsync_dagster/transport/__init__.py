"""What every adapter that speaks over a network shares: connections, waiting, repeating, harmless words."""
