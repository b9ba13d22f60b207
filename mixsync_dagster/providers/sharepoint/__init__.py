"""SharePoint document libraries and OneDrive for Business, over Microsoft Graph."""
