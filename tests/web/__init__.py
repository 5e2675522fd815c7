"""Black-box tests of the outside: a whole venue on a loopback port, asked over HTTP."""
