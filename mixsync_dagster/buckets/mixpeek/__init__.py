"""The hosted service's REST API as a destination bucket."""
