"""How small a difference a number of users can show.

Two means over the same n users differ visibly, in a two-sided test at 5 % with a power of 80 %, from (z.975 + z.8) sd / sqrt(n) =
2.80 sd / sqrt(n) on, where sd is that of the users' differences: Cohen, "Statistical power analysis for the behavioral sciences",
2nd ed. 1988, chapter 2; for retrieval experiments, Sakai, "Topic set size design", Information Retrieval Journal 19(3), 2016.
"""

Z = 2.80  # z.975 + z.8 = 1.960 + 0.842
# Of the differences between two models in a user's NDCG@10. Measured on MovieLens 100K, split per user, 828 users, tuned models under
# this protocol: item-kNN against popularity 0.168, EASE against popularity 0.183, EASE against item-kNN 0.132.
PAIRED_SD = 0.17
ENOUGH_USERS = 100  # fewer show differences from about 0.05 on, more than most models differ by


def smallest_difference(users: int, sd: float = PAIRED_SD) -> float:
    """The smallest difference between two models' means over some users that is seen; nan without a user.

    Args:
        sd: standard deviation over users of the difference between the two models, in units of the metric.
    """
    return Z * sd / users**0.5 if users > 0 else float("nan")
