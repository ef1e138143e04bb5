"""Bearer tokens of an OpenID Connect provider: whose keys, which claims, which role."""
