"""Central storage behind one port: S3 through boto3, and folders."""
