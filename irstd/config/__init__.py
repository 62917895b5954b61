"""params.yaml as checked objects, and the sentences of what is wrong with it."""
