"""The campaign over HTTP: the server, its API, the videos and the pages."""
