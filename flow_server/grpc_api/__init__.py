"""gRPC entrance: servicers, interceptors, health, reflection."""
