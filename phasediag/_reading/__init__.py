"""Files of other programs: what they hold, which array is what, and which axis is what."""
