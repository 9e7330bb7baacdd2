"""Scores of a pair of concept c and instance e from the counts n(c, e) of an isA table, for numbers and arrays.

n(c) and n(e) are the sums over all instances of c and over all concepts of e, n the sum of the whole table.
"""

from __future__ import annotations

from typing import Any, Final

EPSILON: Final = 1e-4
"""Every pair is taken to have been seen this often besides."""


def p_concept(count: Any, instance_total: Any) -> Any:
    """Return P(c|e) = n(c, e) / n(e), the typicality of a concept for an instance.

    Wang, Wang, Wen and Xiao: An Inference Approach to Basic Level of Categorization (CIKM 2015).

    >>> p_concept(3, 12)
    0.25
    """
    return count / instance_total


def p_instance(count: Any, concept_total: Any, instances: int) -> Any:
    """Return P(e|c) = (n(c, e) + EPSILON) / (n(c) + EPSILON * instances), ``instances`` those of the whole table.

    The smoothing is that of Wang, Wang, Wen and Xiao (CIKM 2015).

    >>> round(p_instance(3, 9, 10_000), 6)
    0.30001
    """
    return (count + EPSILON) / (concept_total + EPSILON * instances)


def rep(p_concept_given_instance: Any, p_instance_given_concept: Any) -> Any:
    """Return Rep(e, c) = P(c|e) * P(e|c): high for concepts that are neither too broad nor too narrow.

    Wang, Wang, Wen and Xiao (CIKM 2015), equation for the basic level.

    >>> rep(0.25, 0.5)
    0.125
    """
    return p_concept_given_instance * p_instance_given_concept


def pmi(count: Any, instance_total: Any, concept_total: Any, total: Any) -> Any:
    """Return PMI(e, c) = ln(P(c, e) / (P(c) P(e))) = ln(n(c, e) n / (n(c) n(e))), natural logarithm.

    Church and Hanks: Word Association Norms, Mutual Information, and Lexicography (ACL 1989).

    >>> round(float(pmi(8, 8, 8, 64)), 4)
    2.0794
    """
    import numpy as np

    return np.log(count) + np.log(total) - np.log(instance_total) - np.log(concept_total)


def npmi(count: Any, instance_total: Any, concept_total: Any, total: Any) -> Any:
    """Return NPMI(e, c) = PMI(e, c) / -ln P(c, e), from -1 over 0 (independent) to 1 (only together).

    Bouma: Normalized (Pointwise) Mutual Information in Collocation Extraction (GSCL 2009). 1 where the table has
    nothing but the pair.

    >>> round(float(npmi(8, 8, 8, 64)), 6), round(abs(float(npmi(4, 16, 16, 64))), 6)
    (1.0, 0.0)
    """
    import numpy as np

    own = np.log(total) - np.log(count)
    return np.where(own > 0, pmi(count, instance_total, concept_total, total) / np.where(own > 0, own, 1.0), 1.0)


def pmi_k(count: Any, instance_total: Any, concept_total: Any, total: Any, k: float = 3) -> Any:
    """Return PMI^k(e, c) = ln(P(c, e)^k / (P(c) P(e))): a larger k favours pairs that were counted often.

    Daille: Approche mixte pour l'extraction de terminologie (1994). k = 1 is PMI; exp at k = 2 is Rep, unsmoothed.

    >>> import math
    >>> round(math.exp(pmi_k(3, 12, 9, 100, 2)), 6) == round(rep(p_concept(3, 12), 3 / 9), 6)
    True
    """
    import numpy as np

    return pmi(count, instance_total, concept_total, total) + (k - 1) * (np.log(count) - np.log(total))


def mutual_typicality(p_concept_given_instance: Any, p_instance_given_concept: Any) -> Any:
    """Return 2 P(c|e) P(e|c) / (P(c|e) + P(e|c)), the harmonic mean of both conditionals, 0 where both are 0.

    High only where concept and instance both call for each other: the typicality by mutual conditional of Wang, Wang,
    Wen and Xiao (CIKM 2015) as one number from 0 to 1.

    >>> float(mutual_typicality(0.5, 0.5)), round(float(mutual_typicality(1.0, 0.01)), 4)
    (0.5, 0.0198)
    """
    import numpy as np

    both = p_concept_given_instance + p_instance_given_concept
    return 2 * rep(p_concept_given_instance, p_instance_given_concept) / np.where(both > 0, both, 1.0)
