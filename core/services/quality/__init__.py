"""Quality of slides: measured, judged by people, compared, and shown over cohorts and time."""
