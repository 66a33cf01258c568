"""The kernel that `shipper` and `forensics` share: pure functions over bytes."""
