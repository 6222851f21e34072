"""Pure engines: they decide, evaluate and walk; they do no input or output."""
