"""Getting a number off a device: links, runtimes and the runner."""
