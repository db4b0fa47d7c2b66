"""Getting a number off a device: links, runtimes and the runner."""

from edgekit.callable_module import make_callable

make_callable(__name__, "edgekit.measure.command:bench")  # `edgekit.bench(...)` is the verb
