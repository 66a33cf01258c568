"""The Forward protocol's server: what applications send becomes lines of a spool."""
