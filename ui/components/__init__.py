"""Parts that pages are made of: each takes plain values or records of `engine` and draws them."""
