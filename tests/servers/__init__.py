"""Real servers for tests and demos: started on loopback as an ordinary user, stopped and removed whatever happens.

`.ci/packages` brings the Debian packages; only `clouds` installs a server, from its wheel. A server is the child of a
small supervisor that ends it when its starter is gone, so that a killed test run leaves neither a process nor a folder
behind. `objects`, `blobs` and `web` are stand-ins, which threads of the tests serve.
Used by tests/pipelines, tests/chaos, `make demo` and `make bench`; imports nothing of Dativo.
"""
