"""One adapter per AWS service, behind the ports; the only home of boto3."""
