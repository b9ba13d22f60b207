"""Google Drive: My Drive, shared drives and folders that are shared with the account."""
