"""Who reaches whom: responder, prober, health endpoint, reports."""
