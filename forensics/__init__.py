"""What remains of an instance, read: its logs, its life in AWS, its disks, its post-mortem."""

__version__ = "0.1.0"
