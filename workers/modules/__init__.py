"""nn.Modules that torchrec does not ship."""
