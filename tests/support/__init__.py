"""What tests are written with: a scripted broker, clients as dialogs, servers to start, stop and kill."""
