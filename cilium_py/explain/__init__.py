"""What several maps say together: connections with their services, translations and identities, and what is amiss."""
