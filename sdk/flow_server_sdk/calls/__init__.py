"""The call surface, one file per room, written once for the blocking and the async client.

Every method returns `R`: the answer's dict from FlowServerSdk, an awaitable of that dict from
AsyncFlowServerSdk.
"""
