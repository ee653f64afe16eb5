"""The scripts, a module a theme. Each reads as a dialog: what is said, what is heard, what must hold of it."""
