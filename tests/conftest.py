"""What holds for every test: set before anything imports gRPC."""

import os

from hypothesis import settings

# Tests start processes while channels are open, and gRPC's own care for forks has let some of them die before they were
# programs. Nobody here goes on using gRPC in a forked copy.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# How long an example takes is the machine's affair: no test is timed.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")
