"""What a request's body may be, and the command it asks for."""
