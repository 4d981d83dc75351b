"""Maps of what a network's answer to one tile depends on. The only place that imports captum."""
