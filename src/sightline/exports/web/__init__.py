"""One HTML page that shows a run's radiance field in any browser, without a server."""
