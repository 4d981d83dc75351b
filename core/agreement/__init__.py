"""Agreement between readers, with the model as one more reader.

Every statistic comes with a bootstrap interval over cases, or with the reason why it has no value; kappa always stands
beside AC1, since kappa collapses where nearly all cases are of one category (Feinstein and Cicchetti 1990).
"""
