"""Amazon S3 and everything that speaks its protocol; the services differ by rows of `dialects`."""
