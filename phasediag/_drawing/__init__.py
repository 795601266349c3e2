"""What `phasediag.figures` draws with, one module for each kind of result."""
