"""The whole story on one machine: a stand-in account, instances that are processes."""
