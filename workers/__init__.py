"""The rank's side: models and their training. Knows no engine, ui or Spark; an executor needs this package alone."""
