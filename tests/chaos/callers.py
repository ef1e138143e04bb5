"""Who makes the calls of the model's tests: somebody who may do everything."""

from flow_contract.access import Caller, CallerKind, Right

LOCAL = Caller(kind=CallerKind.LOCAL, name="local", rights=frozenset(Right))
