"""What the statistics of agreement are called on the screen, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping

STATISTICS: Mapping[str, tuple[str, str]] = {
    "po": ("Observed agreement (Po)", "Share of pairs of reads of a case that say the same."),
    "fleiss_kappa": ("Fleiss' kappa", "Agreement beyond chance of all readers; low where one category is rare."),
    "ac1": ("Gwet's AC1", "Agreement beyond chance that stays steady where one category is rare. Read beside kappa."),
    "alpha_nominal": ("Krippendorff's alpha, nominal", "Any two different categories differ alike."),
    "alpha_ordinal": ("Krippendorff's alpha, ordinal", "Categories that lie further apart differ more."),
    "alpha_interval": ("Krippendorff's alpha, interval", "The distance between categories is their difference."),
    "mean_kappa": ("Cohen's kappa, mean of pairs", "Any two different categories differ alike."),
    "mean_kappa_linear": ("Linear kappa, mean of pairs", "Weighs each step between categories alike."),
    "mean_kappa_quadratic": ("Quadratic kappa, mean of pairs", "Weighs far differences most."),
    "positive_agreement": ("Positive agreement", "Given one positive read of a case, how often another is positive."),
    "negative_agreement": ("Negative agreement", "Given one negative read of a case, how often another is negative."),
    "icc_one_way": ("Intraclass correlation, one way", "Reads that are numbers; readers differ from case to case."),
    "icc_two_way": ("Intraclass correlation, two way", "Reads that are numbers; every reader read every case."),
    "mean_distance": ("Mean distance", "Mean difference of two reads of a case, in their unit."),
}
"""Name -> (title, meaning), in the order of the table."""

INFLUENCE: Mapping[str, tuple[str, str]] = {
    "changed": ("Changed", "Reads that changed after the model's result was shown, of all such reads."),
    "towards_model": ("Towards the model", "Now the model's category, of those that differed from it before."),
    "away_from_model": ("Away from the model", "No longer the model's category, of those that agreed before."),
    "agreed_before": ("Agreed before", "Reads that agreed with the model before it was shown."),
    "agreed_after": ("Agreed after", "Reads that agree with the model after it was shown."),
    "automation_bias": ("Automation bias", "Right before, changed to the model's wrong category, of those that could."),
    "helped": ("Helped", "Wrong before, right after, of those where the model was right."),
    "right_before": ("Right before", "Reads that were right before, as the resolution or reference has it."),
    "right_after": ("Right after", "Reads that are right after, as the resolution or reference has it."),
}

KAPPAS: Mapping[str, str] = {
    "kappa": "Plain",
    "kappa_linear": "Linear",
    "kappa_quadratic": "Quadratic",
}
"""Weightings of Cohen's kappa."""
