"""How one notification reaches one destination: a module for each type of destination."""
