"""The wire: protobuf generated from `proto/`, and `codec/` between it and `flow_contract`."""
