"""gRPC entrance: servicers, interceptor, health, reflection."""
