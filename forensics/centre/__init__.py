"""The centre: a real OpenSearch node for a laptop, and what any OpenSearch needs installed."""
