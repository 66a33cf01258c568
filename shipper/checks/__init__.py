"""What `shipper check` looks at: one module for each thing that may not work on this machine."""
